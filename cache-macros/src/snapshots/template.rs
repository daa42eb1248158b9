async fn page(user: &User, settings: Settings) -> Page {
    let call = {
        use ::cache_runtime::__private::{
            self, ViaArc as _, ViaResult as _, ViaResultOfArc as _, ViaValue as _,
        };
        static __SITE: __private::CallSite = __private::CallSite::with_template(
            "page",
            ::core::module_path!(),
            __private::Policy::DEFAULT.prefix("page"),
        );
        let outcome = (&&&&__private::Returns::<Page>::HERE).outcome();
        match __private::begin(
            &__SITE,
            outcome,
            |key| {
                key.hole(&user.id);
                key.text(":");
                key.hole(&settings.locale);
                key.text(":all");
            },
        ) {
            ::core::ops::ControlFlow::Break(hit) => return hit,
            ::core::ops::ControlFlow::Continue(call) => call,
        }
    };
    let load = async move {
        if false {
            return ::core::option::Option::<Page>::None.unwrap();
        }
        let returned: Page = { render(user, settings).await };
        #[allow(unreachable_code)] returned
    };
    call.run(::core::pin::pin!(load)).await
}
