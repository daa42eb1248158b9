async fn save(user: User) {
    let (call, success) = {
        use crate::cache::__private::{self, SucceedsAlways as _, SucceedsIfOk as _};
        static __SITE: __private::InvalidateSite = __private::InvalidateSite::new(
                "save",
                ::core::module_path!(),
                __private::When::Always,
            )
            .cache("sessions");
        let call = __private::invalidate(&__SITE, |targets| targets.prefix("user"));
        (call, (&__private::Returns::<()>::HERE).success())
    };
    let load = async move {
        if false {
            return ::core::option::Option::<()>::None.unwrap();
        }
        let returned: () = {
            store(user).await;
        };
        #[allow(unreachable_code)] returned
    };
    call.run(success, ::core::pin::pin!(load)).await
}
