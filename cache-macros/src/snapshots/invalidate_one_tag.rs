async fn update(film: Film) -> Result<(), DbError> {
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
                targets
                    .tag(|tag| {
                        tag.text("genre:");
                        tag.hole(&film.genre);
                    })
            },
        );
        (call, (&__private::Returns::<Result<(), DbError>>::HERE).success())
    };
    let load = async move {
        if false {
            return ::core::option::Option::<Result<(), DbError>>::None.unwrap();
        }
        let returned: Result<(), DbError> = { store(film).await };
        #[allow(unreachable_code)] returned
    };
    call.run(success, ::core::pin::pin!(load)).await
}
