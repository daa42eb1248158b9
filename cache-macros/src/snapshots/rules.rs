async fn list(id: u64) -> Result<Option<List>, DbError> {
    let call = {
        use ::cache_runtime::__private::{
            self, ViaArc as _, ViaResult as _, ViaResultOfArc as _, ViaValue as _,
        };
        static __SITE: __private::CallSite = __private::CallSite::new(
            "list",
            ::core::module_path!(),
            __private::Policy::DEFAULT,
        );
        let outcome = (&&&&__private::Returns::<Result<Option<List>, DbError>>::HERE)
            .outcome();
        match __private::begin(&__SITE, outcome, |key| key.arg(&id)) {
            ::core::ops::ControlFlow::Break(hit) => return hit,
            ::core::ops::ControlFlow::Continue(call) => call,
        }
    };
    let call = call
        .rules(|rules| {
            rules.cache_if(|list| !list.is_empty());
            rules.ttl(|list: &Option<List>| list.ttl());
            rules.negative_ttl_ms(30000);
        });
    let load = async move {
        if false {
            return ::core::option::Option::<Result<Option<List>, DbError>>::None
                .unwrap();
        }
        let returned: Result<Option<List>, DbError> = { load(id).await };
        #[allow(unreachable_code)] returned
    };
    call.run(::core::pin::pin!(load)).await
}
