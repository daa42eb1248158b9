fn set_price(&mut self, price: u64) -> Result<(), Error> {
    let (call, success) = {
        use ::cache_runtime::__private::{self, SucceedsAlways as _, SucceedsIfOk as _};
        static __SITE: __private::InvalidateSite = __private::InvalidateSite::new(
            "set_price",
            ::core::module_path!(),
            __private::When::Always,
        );
        let call = __private::invalidate(&__SITE, |targets| targets.prefix("price"));
        (call, (&__private::Returns::<Result<(), Error>>::HERE).success())
    };
    call.run_plain(
        success,
        move || -> Result<(), Error> {
            let returned: Result<(), Error> = {
                self.price = price;
                Ok(())
            };
            #[allow(unreachable_code)] returned
        },
    )
}
