async fn session(db: &Db, token: &str, user: &User) -> Session {
    let call = {
        use ::cache_runtime::__private::{
            self, ViaArc as _, ViaResult as _, ViaResultOfArc as _, ViaValue as _,
        };
        static __SITE: __private::CallSite = __private::CallSite::with_template(
            "session",
            ::core::module_path!(),
            __private::Policy::DEFAULT.prefix("session").tagging("mail:{#user.email}"),
        );
        let outcome = (&&&&__private::Returns::<Session>::HERE).outcome();
        match __private::begin(
            &__SITE,
            outcome,
            |key| {
                key.sensitive_hole(&token);
                key.text(":");
                key.sensitive_hole(&user.id);
            },
        ) {
            ::core::ops::ControlFlow::Break(hit) => return hit,
            ::core::ops::ControlFlow::Continue(call) => call,
        }
    };
    let call = call
        .tags(|tags| {
            tags
                .tag(|tag| {
                    tag.text("mail:");
                    tag.sensitive_hole(&user.email);
                })
        });
    let load = async move {
        if false {
            return ::core::option::Option::<Session>::None.unwrap();
        }
        let returned: Session = { db.session(token, user).await };
        #[allow(unreachable_code)] returned
    };
    call.run(::core::pin::pin!(load)).await
}
