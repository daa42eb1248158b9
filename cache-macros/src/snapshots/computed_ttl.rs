async fn daily(zone: Zone) -> Stats {
    let call = {
        use ::cache_runtime::__private::{
            self, ViaArc as _, ViaResult as _, ViaResultOfArc as _, ViaValue as _,
        };
        static __SITE: __private::CallSite = __private::CallSite::new(
            "daily",
            ::core::module_path!(),
            __private::Policy::DEFAULT,
        );
        let outcome = (&&&&__private::Returns::<Stats>::HERE).outcome();
        match __private::begin(&__SITE, outcome, |key| key.arg(&zone)) {
            ::core::ops::ControlFlow::Break(hit) => return hit,
            ::core::ops::ControlFlow::Continue(call) => call,
        }
    };
    let ttl: ::core::time::Duration = until_midnight(zone);
    let call = call.ttl(ttl);
    let load = async move {
        if false {
            return ::core::option::Option::<Stats>::None.unwrap();
        }
        let returned: Stats = { stats(zone).await };
        #[allow(unreachable_code)] returned
    };
    call.run(::core::pin::pin!(load)).await
}
