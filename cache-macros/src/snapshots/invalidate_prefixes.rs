async fn update(id: u64) -> Result<(), DbError> {
    #[allow(unused_imports)]
    use ::cache_runtime::__private::{
        self as __cache, SucceedsAlways as _, SucceedsIfOk as _,
    };
    static __SITE: __cache::InvalidateSite = __cache::InvalidateSite::new(
        "update",
        ::core::module_path!(),
        __cache::When::Always,
    );
    let call = __cache::invalidate(
        &__SITE,
        |targets| {
            targets.prefix("user");
            targets.prefix("stats");
        },
    );
    #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_unit_value)]
    let load = ::core::pin::pin!(
        async move { if let ::core::option::Option::Some(returned) =
        ::core::option::Option::None:: < Result < (), DbError > > { return returned; }
        let returned : Result < (), DbError > = { store(id). await }; returned }
    );
    call.run((&__cache::Returns::<Result<(), DbError>>::HERE).success(), load).await
}
