async fn daily(zone: Zone) -> Stats {
    #[allow(unused_imports)]
    use ::cache_runtime::__private::{self as __cache, ViaResult as _, ViaValue as _};
    static __SITE: __cache::CallSite = __cache::CallSite::new(
        "daily",
        ::core::module_path!(),
        __cache::Policy::DEFAULT,
    );
    let call = match __cache::begin(
        &__SITE,
        (&__cache::Returns::<Stats>::HERE).outcome(),
        |key| key.arg(&zone),
    ) {
        ::core::ops::ControlFlow::Break(hit) => return hit,
        ::core::ops::ControlFlow::Continue(call) => call,
    };
    let call = call.ttl(until_midnight(zone));
    #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_unit_value)]
    let load = ::core::pin::pin!(
        async move { if let ::core::option::Option::Some(returned) =
        ::core::option::Option::None:: < Stats > { return returned; } let returned :
        Stats = { stats(zone). await }; returned }
    );
    call.run(load).await
}
