async fn load(id: u64, fresh: bool) -> User {
    let bypass: bool = fresh || id == 0;
    let call = {
        use ::cache_runtime::__private::{
            self, ViaArc as _, ViaResult as _, ViaResultOfArc as _, ViaValue as _,
        };
        static __SITE: __private::CallSite = __private::CallSite::new(
            "load",
            ::core::module_path!(),
            __private::Policy::DEFAULT.codec("json").compress::<__private::Compression>(),
        );
        let outcome = (&&&&__private::Returns::<User>::HERE).outcome();
        match __private::begin_unless(bypass, &__SITE, outcome, |key| key.arg(&id)) {
            ::core::ops::ControlFlow::Break(hit) => return hit,
            ::core::ops::ControlFlow::Continue(call) => call,
        }
    };
    let load = async move {
        if false {
            return ::core::option::Option::<User>::None.unwrap();
        }
        let returned: User = { ask(id).await };
        #[allow(unreachable_code)] returned
    };
    call.run(::core::pin::pin!(load)).await
}
