async fn update(&self, id: u64) {
    let (call, success) = {
        use ::cache_runtime::__private::{self, SucceedsAlways as _, SucceedsIfOk as _};
        static __SITE: __private::InvalidateSite = __private::InvalidateSite::new(
            "update",
            ::core::module_path!(),
            __private::When::Always,
        );
        let call = __private::invalidate(
            &__SITE,
            |targets| {
                targets.prefix("stats");
                targets.call(get_user(id));
                targets.call(self.profile(&id));
            },
        );
        (call, (&__private::Returns::<()>::HERE).success())
    };
    let load = async move {
        if false {
            return ::core::option::Option::<()>::None.unwrap();
        }
        let returned: () = {
            self.store(id).await;
        };
        #[allow(unreachable_code)] returned
    };
    call.run(success, ::core::pin::pin!(load)).await
}
