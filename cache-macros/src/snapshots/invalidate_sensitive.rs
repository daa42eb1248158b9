async fn log_out(token: String) {
    let (call, success) = {
        use ::cache_runtime::__private::{self, SucceedsAlways as _, SucceedsIfOk as _};
        static __SITE: __private::InvalidateSite = __private::InvalidateSite::new(
            "log_out",
            ::core::module_path!(),
            __private::When::Always,
        );
        let call = __private::invalidate(
            &__SITE,
            |targets| {
                targets
                    .entry(
                        "session",
                        |key| {
                            key.sensitive_hole(&token);
                            key.text(":profile");
                        },
                    );
                targets
                    .tag(|tag| {
                        tag.text("token:");
                        tag.sensitive_hole(&token);
                    });
            },
        );
        (call, (&__private::Returns::<()>::HERE).success())
    };
    let load = async move {
        if false {
            return ::core::option::Option::<()>::None.unwrap();
        }
        let returned: () = {
            store(token).await;
        };
        #[allow(unreachable_code)] returned
    };
    call.run(success, ::core::pin::pin!(load)).await
}
