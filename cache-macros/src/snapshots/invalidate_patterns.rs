async fn update(film: Film, mail: &str) {
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
                targets
                    .pattern(|pattern| {
                        pattern.text("film_");
                        pattern.hole(&film.id);
                        pattern.text("_*");
                    });
                targets
                    .pattern(|pattern| {
                        pattern.text("list:");
                        pattern.sensitive_hole(&mail);
                        pattern.text(":*");
                    });
            },
        );
        (call, (&__private::Returns::<()>::HERE).success())
    };
    let load = async move {
        if false {
            return ::core::option::Option::<()>::None.unwrap();
        }
        let returned: () = { store(film, mail).await };
        #[allow(unreachable_code)] returned
    };
    call.run(success, ::core::pin::pin!(load)).await
}
