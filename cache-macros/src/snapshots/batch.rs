async fn get_users(
    db: &Db,
    tenant: String,
    ids: &[u64],
) -> Result<HashMap<u64, User>, DbError> {
    let call = {
        use ::cache_runtime::__private::{
            self, ViaArc as _, ViaResult as _, ViaResultOfArc as _, ViaValue as _,
        };
        static __SITE: __private::CallSite = __private::CallSite::with_template(
            "get_users",
            ::core::module_path!(),
            __private::Policy::DEFAULT.prefix("user").tagging("all user:{id}"),
        );
        let outcome = (&&&&__private::Returns::<
            Result<HashMap<u64, User>, DbError>,
        >::HERE)
            .outcome();
        match __private::batch(
            false,
            &__SITE,
            outcome,
            __private::HoldsOption,
            ids,
            |key, id| {
                key.hole(&tenant);
                key.text(":");
                key.hole(&id);
            },
        ) {
            ::core::ops::ControlFlow::Break(hit) => return hit,
            ::core::ops::ControlFlow::Continue(call) => call,
        }
    };
    let call = call
        .tags(|tags, id| {
            tags.tag(|tag| tag.text("all"));
            tags.tag(|tag| {
                tag.text("user:");
                tag.hole(&id);
            });
        });
    let call = call.rules(|rules| rules.negative_ttl_ms(30000));
    let repeats = true;
    let (repeats, mut db) = {
        use ::cache_runtime::__private::{self, ViaClone as _, ViaMove as _};
        let again = (&__private::Sort::of(&db)).again();
        let spare = __private::Spare::new(again, db);
        (repeats && spare.repeats(), spare)
    };
    let (repeats, mut tenant) = {
        use ::cache_runtime::__private::{self, ViaClone as _, ViaMove as _};
        let again = (&__private::Sort::of(&tenant)).again();
        let spare = __private::Spare::new(again, tenant);
        (repeats && spare.repeats(), spare)
    };
    call.run(
            repeats,
            move |missing| {
                let db = db.take();
                let mut tenant = tenant.take();
                async move {
                    let ids = ::std::vec::Vec::as_slice(&missing);
                    async move {
                        if false {
                            return ::core::option::Option::<
                                Result<HashMap<u64, User>, DbError>,
                            >::None
                                .unwrap();
                        }
                        let returned: Result<HashMap<u64, User>, DbError> = {
                            load(db, tenant, ids).await
                        };
                        #[allow(unreachable_code)] returned
                    }
                        .await
                }
            },
        )
        .await
}
