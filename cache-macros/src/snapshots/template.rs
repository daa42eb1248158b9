async fn page(user: &User, settings: Settings) -> Page {
    #[allow(unused_imports)]
    use ::cache_runtime::__private::{self as __cache, ViaResult as _, ViaValue as _};
    static __SITE: __cache::CallSite = __cache::CallSite::with_template(
        "page",
        ::core::module_path!(),
        __cache::Policy::DEFAULT.prefix("page"),
    );
    let call = match __cache::begin(
        &__SITE,
        (&__cache::Returns::<Page>::HERE).outcome(),
        |key| {
            key.hole(&user.id);
            key.text(":");
            key.hole(&settings.locale);
            key.text(":all");
        },
    ) {
        ::core::ops::ControlFlow::Break(hit) => return hit,
        ::core::ops::ControlFlow::Continue(call) => call,
    };
    #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_unit_value)]
    let load = ::core::pin::pin!(
        async move { if let ::core::option::Option::Some(returned) =
        ::core::option::Option::None:: < Page > { return returned; } let returned : Page
        = { render(user, settings). await }; returned }
    );
    call.run(load).await
}
