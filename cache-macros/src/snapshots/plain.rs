pub async fn get_user(id: u64) -> Result<User, DbError> {
    #[allow(unused_imports)]
    use ::cache_runtime::__private::{self as __cache, ViaResult as _, ViaValue as _};
    static __SITE: __cache::CallSite = __cache::CallSite::new(
        "get_user",
        ::core::module_path!(),
        __cache::Policy::DEFAULT.prefix("user").ttl_ms(60000u64),
    );
    let call = match __cache::begin(
        &__SITE,
        (&__cache::Returns::<Result<User, DbError>>::HERE).outcome(),
        |key| key.arg(&id),
    ) {
        ::core::ops::ControlFlow::Break(hit) => return hit,
        ::core::ops::ControlFlow::Continue(call) => call,
    };
    #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_unit_value)]
    let load = ::core::pin::pin!(
        async move { if let ::core::option::Option::Some(returned) =
        ::core::option::Option::None:: < Result < User, DbError > > { return returned; }
        let returned : Result < User, DbError > = { load(id). await }; returned }
    );
    call.run(load).await
}
