pub async fn get_user(id: u64) -> Result<User, DbError> {
    let call = {
        use ::cache_runtime::__private::{
            self, ViaArc as _, ViaResult as _, ViaResultOfArc as _, ViaValue as _,
        };
        static __SITE: __private::CallSite = __private::CallSite::new(
            "get_user",
            ::core::module_path!(),
            __private::Policy::DEFAULT.prefix("user").ttl_ms(60000),
        );
        let outcome = (&&&&__private::Returns::<Result<User, DbError>>::HERE).outcome();
        match __private::begin(&__SITE, outcome, |key| key.arg(&id)) {
            ::core::ops::ControlFlow::Break(hit) => return hit,
            ::core::ops::ControlFlow::Continue(call) => call,
        }
    };
    let load = async move {
        if false {
            return ::core::option::Option::<Result<User, DbError>>::None.unwrap();
        }
        let returned: Result<User, DbError> = { load(id).await };
        #[allow(unreachable_code)] returned
    };
    call.run(::core::pin::pin!(load)).await
}
