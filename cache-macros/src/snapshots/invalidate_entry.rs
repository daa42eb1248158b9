async fn update(user: User) {
    #[allow(unused_imports)]
    use ::cache_runtime::__private::{
        self as __cache, SucceedsAlways as _, SucceedsIfOk as _,
    };
    static __SITE: __cache::InvalidateSite = __cache::InvalidateSite::new(
        "update",
        ::core::module_path!(),
        __cache::When::Ok,
    );
    let call = __cache::invalidate(
        &__SITE,
        |targets| {
            targets
                .entry(
                    "user",
                    |key| {
                        key.hole(&user.id);
                        key.text(":profile");
                    },
                );
        },
    );
    #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_unit_value)]
    let load = ::core::pin::pin!(
        async move { if let ::core::option::Option::Some(returned) =
        ::core::option::Option::None:: < () > { return returned; } let returned : () = {
        store(user). await; }; returned }
    );
    call.run((&__cache::Returns::<()>::HERE).success(), load).await
}
