async fn names(&self, people: Vec<u64>, argument_2: (u8, u8)) -> Vec<String> {
    let bypass: bool = people.len() > 99;
    let call = {
        use ::cache_runtime::__private::{
            self, ViaArc as _, ViaResult as _, ViaResultOfArc as _, ViaValue as _,
        };
        static __SITE: __private::CallSite = __private::CallSite::new(
            "names",
            ::core::module_path!(),
            __private::Policy::DEFAULT,
        );
        let outcome = (&&&&__private::Returns::<Vec<String>>::HERE).outcome();
        match __private::batch(
            bypass,
            &__SITE,
            outcome,
            __private::HoldsValue,
            &people,
            |key, person| {
                key.arg(&person);
                key.arg(&argument_2);
            },
        ) {
            ::core::ops::ControlFlow::Break(hit) => return hit,
            ::core::ops::ControlFlow::Continue(call) => call,
        }
    };
    let repeats = true;
    let (repeats, mut argument_2) = {
        use ::cache_runtime::__private::{self, ViaClone as _, ViaMove as _};
        let again = (&__private::Sort::of(&argument_2)).again();
        let spare = __private::Spare::new(again, argument_2);
        (repeats && spare.repeats(), spare)
    };
    call.run(
            repeats,
            move |missing| {
                let argument_2 = argument_2.take();
                let mut people = missing;
                async move {
                    if false {
                        return ::core::option::Option::<Vec<String>>::None.unwrap();
                    }
                    let (a, b) = argument_2;
                    let returned: Vec<String> = { load(people, a, b).await };
                    #[allow(unreachable_code)] returned
                }
            },
        )
        .await
}
