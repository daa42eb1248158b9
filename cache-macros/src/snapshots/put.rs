async fn save(user: User) -> Result<User, DbError> {
    let call = {
        use ::cache_runtime::__private::{self, ViaResult as _, ViaValue as _};
        static __SITE: __private::PutSite = __private::PutSite::new("save");
        let (entry, returned) = __private::entry(get_user(user.id));
        let entry_outcome = (&&&&returned).outcome();
        let outcome = (&&&&__private::Returns::<Result<User, DbError>>::HERE).outcome();
        __private::put(&__SITE, entry, entry_outcome, outcome)
            .ttl(::core::time::Duration::from_millis(3600000))
    };
    let load = async move {
        if false {
            return ::core::option::Option::<Result<User, DbError>>::None.unwrap();
        }
        let returned: Result<User, DbError> = { store(user).await };
        #[allow(unreachable_code)] returned
    };
    call.run(::core::pin::pin!(load)).await
}
