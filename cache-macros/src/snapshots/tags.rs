async fn films(genre: Genre, zone: Zone) -> Vec<Film> {
    let call = {
        use ::cache_runtime::__private::{
            self, ViaArc as _, ViaResult as _, ViaResultOfArc as _, ViaValue as _,
        };
        static __SITE: __private::CallSite = __private::CallSite::new(
            "films",
            ::core::module_path!(),
            __private::Policy::DEFAULT.tagging("genre:{genre} {zone.id}:{genre} all"),
        );
        let outcome = (&&&&__private::Returns::<Vec<Film>>::HERE).outcome();
        match __private::begin(
            &__SITE,
            outcome,
            |key| {
                key.arg(&genre);
                key.arg(&zone);
            },
        ) {
            ::core::ops::ControlFlow::Break(hit) => return hit,
            ::core::ops::ControlFlow::Continue(call) => call,
        }
    };
    let call = call
        .tags(|tags| {
            tags.tag(|tag| {
                tag.text("genre:");
                tag.hole(&genre);
            });
            tags.tag(|tag| {
                tag.hole(&zone.id);
                tag.text(":");
                tag.hole(&genre);
            });
            tags.tag(|tag| tag.text("all"));
        });
    let ttl: ::core::time::Duration = until_midnight(zone);
    let call = call.ttl(ttl);
    let load = async move {
        if false {
            return ::core::option::Option::<Vec<Film>>::None.unwrap();
        }
        let returned: Vec<Film> = { load(genre, zone).await };
        #[allow(unreachable_code)] returned
    };
    call.run(::core::pin::pin!(load)).await
}
