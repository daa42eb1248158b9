fn find<'a>(
    &'a self,
    id: u64,
) -> Pin<Box<dyn Future<Output = Result<User, E>> + Send + 'a>> {
    Box::pin(async move {
        let call = {
            use ::cache_runtime::__private::{
                self, ViaArc as _, ViaResult as _, ViaResultOfArc as _, ViaValue as _,
            };
            static __SITE: __private::CallSite = __private::CallSite::new(
                "find",
                ::core::module_path!(),
                __private::Policy::DEFAULT.ttl_ms(60000),
            );
            let outcome = (&&&&__private::Returns::<Result<User, E>>::HERE).outcome();
            match __private::begin(
                &__SITE,
                outcome,
                |key| {
                    key.arg(&self);
                    key.arg(&id);
                },
            ) {
                ::core::ops::ControlFlow::Break(hit) => return hit,
                ::core::ops::ControlFlow::Continue(call) => call,
            }
        };
        let load = async move {
            if false {
                return ::core::option::Option::<Result<User, E>>::None.unwrap();
            }
            let returned: Result<User, E> = {
                let __self = self;
                __self.load(id).await
            };
            #[allow(unreachable_code)] returned
        };
        call.run(::core::pin::pin!(load)).await
    })
}
