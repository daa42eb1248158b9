fn find<'a>(
    &'a self,
    id: u64,
) -> Pin<Box<dyn Future<Output = Result<User, E>> + Send + 'a>> {
    Box::pin(async move {
        #[allow(unused_imports)]
        use ::cache_runtime::__private::{self as __cache, ViaResult as _, ViaValue as _};
        static __SITE: __cache::CallSite = __cache::CallSite::new(
            "find",
            ::core::module_path!(),
            __cache::Policy::DEFAULT.ttl_ms(60000u64),
        );
        let call = match __cache::begin(
            &__SITE,
            (&__cache::Returns::<Result<User, E>>::HERE).outcome(),
            |key| {
                key.arg(&self);
                key.arg(&id);
            },
        ) {
            ::core::ops::ControlFlow::Break(hit) => return hit,
            ::core::ops::ControlFlow::Continue(call) => call,
        };
        #[allow(
            unreachable_code,
            clippy::diverging_sub_expression,
            clippy::let_unit_value
        )]
        let load = ::core::pin::pin!(
            async move { if let ::core::option::Option::Some(returned) =
            ::core::option::Option::None:: < Result < User, E > > { return returned; }
            let returned : Result < User, E > = { let __self = self; __self.load(id).
            await }; returned }
        );
        call.run(load).await
    })
}
