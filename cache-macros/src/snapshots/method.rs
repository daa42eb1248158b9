#[tracing::instrument]
async fn find<T: Row>(&self, arg1: (u32, u32), mut n: usize, db: &Db) -> Option<T>
where
    T: Clone,
{
    #[allow(unused_imports)]
    use my::cache::__private::{self as __cache, ViaResult as _, ViaValue as _};
    static __SITE: __cache::CallSite = __cache::CallSite::new(
        "find",
        ::core::module_path!(),
        __cache::Policy::DEFAULT,
    );
    let call = match __cache::begin(
        &__SITE,
        (&__cache::Returns::<Option<T>>::HERE).outcome(),
        |key| {
            key.arg(&self);
            key.arg(&arg1);
            key.arg(&n);
        },
    ) {
        ::core::ops::ControlFlow::Break(hit) => return hit,
        ::core::ops::ControlFlow::Continue(call) => call,
    };
    #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_unit_value)]
    let load = ::core::pin::pin!(
        async move { if let ::core::option::Option::Some(returned) =
        ::core::option::Option::None:: < Option < T > > { return returned; } let (a, b) =
        arg1; let returned : Option < T > = { n += 1; self.ask(db, a, b, n). await };
        returned }
    );
    call.run(load).await
}
