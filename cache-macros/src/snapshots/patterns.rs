async fn area(
    argument_0: Point,
    argument_1: Unit,
    #[cfg(unix)]
    argument_2: (i32, i32),
    _seed: u64,
) -> i32 {
    let call = {
        use ::cache_runtime::__private::{
            self, ViaArc as _, ViaResult as _, ViaResultOfArc as _, ViaValue as _,
        };
        static __SITE: __private::CallSite = __private::CallSite::new(
            "area",
            ::core::module_path!(),
            __private::Policy::DEFAULT,
        );
        let outcome = (&&&&__private::Returns::<i32>::HERE).outcome();
        match __private::begin(
            &__SITE,
            outcome,
            |key| {
                key.arg(&argument_0);
                key.arg(&argument_1);
                #[cfg(unix)] key.arg(&argument_2);
                #[allow(clippy::used_underscore_binding)] key.arg(&_seed);
            },
        ) {
            ::core::ops::ControlFlow::Break(hit) => return hit,
            ::core::ops::ControlFlow::Continue(call) => call,
        }
    };
    let load = async move {
        if false {
            return ::core::option::Option::<i32>::None.unwrap();
        }
        let Point { x, y } = argument_0;
        let _ = argument_1;
        #[cfg(unix)]
        let (a, b) = argument_2;
        let returned: i32 = { x * y + a * b };
        #[allow(unreachable_code)] returned
    };
    call.run(::core::pin::pin!(load)).await
}
