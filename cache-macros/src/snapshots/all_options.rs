async fn get_user(db: &Db, id: u64, locale: &str) -> Result<User, DbError> {
    let call = {
        use crate::cache::__private::{
            self, ViaArc as _, ViaResult as _, ViaResultOfArc as _, ViaValue as _,
        };
        static __SITE: __private::CallSite = __private::CallSite::new(
            "get_user",
            ::core::module_path!(),
            __private::Policy::DEFAULT.prefix("user:meta").ttl_ms(5400000).version(2),
        );
        let outcome = (&&&&__private::Returns::<Result<User, DbError>>::HERE).outcome();
        match __private::begin(
            &__SITE,
            outcome,
            |key| {
                key.arg(&id);
                key.arg_str(locale);
            },
        ) {
            ::core::ops::ControlFlow::Break(hit) => return hit,
            ::core::ops::ControlFlow::Continue(call) => call,
        }
    };
    let load = async move {
        if false {
            return ::core::option::Option::<Result<User, DbError>>::None.unwrap();
        }
        let returned: Result<User, DbError> = { load(db, id, locale).await };
        #[allow(unreachable_code)] returned
    };
    call.run(::core::pin::pin!(load)).await
}
