use std::thread;

use super::*;

#[test]
fn whoever_comes_first_settles_a_name_for_all() {
    for round in 0..200 {
        let name = format!("raced {round}");
        let mut config = CacheBuilder::new().config;
        config.name = Some(name.clone());
        let cache = Cache::in_process(config);
        let (installed, [one, other]) = thread::scope(|scope| {
            let ask = || scope.spawn(|| current(Some(&name)).0.is_some());
            let one = ask();
            let install = scope.spawn(|| install(cache.clone()).is_ok());
            let other = ask();
            (
                install.join().unwrap(),
                [one.join().unwrap(), other.join().unwrap()],
            )
        });
        let later = current(Some(&name)).0.is_some();
        assert_eq!(installed, later, "{name}");
        // Who was given a cache is not alone with it, and who was given none stays so.
        assert!(installed || !(one || other), "{name}");
        assert!(!installed || (one && other), "{name}");
    }
}
