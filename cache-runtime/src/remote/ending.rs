//! A runtime that ends takes its connections along: what is asked in it then fails, and says nothing of Redis.

use std::future::pending;

use tokio::runtime::Handle;

/// Whether the runtime that we are in takes no task any more.
pub(super) fn runtime_is_ending() -> bool {
    let Ok(runtime) = Handle::try_current() else {
        return false;
    };
    let task = runtime.spawn(pending::<()>());
    // It waits for ever, unless it was dropped before it began.
    let is_ending = task.is_finished();
    task.abort();
    is_ending
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use tokio::runtime::Builder;

    use super::*;

    /// Says at its end whether the runtime is ending.
    struct Last(Sender<bool>);

    impl Drop for Last {
        fn drop(&mut self) {
            self.0.send(runtime_is_ending()).unwrap();
        }
    }

    #[test]
    fn a_runtime_is_ending_when_it_drops_what_runs_in_it_and_not_before() {
        for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
            let runtime = builder.build().unwrap();
            let (sender, receiver) = channel();
            let last = Last(sender.clone());
            runtime.spawn(async move {
                pending::<()>().await;
                drop(last);
            });
            runtime.block_on(async {
                assert!(!runtime_is_ending());
                let last = Last(sender);
                tokio::spawn(async move { drop(last) }).await.unwrap();
            });
            assert!(!receiver.recv().unwrap());
            drop(runtime);
            assert!(receiver.recv().unwrap());
        }
        assert!(!runtime_is_ending());
    }
}
