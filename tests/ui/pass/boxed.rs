//! What `#[async_trait]` leaves of an `async fn`.
#![deny(warnings)]

use cache_runtime::{cache_invalidate, cached};
use std::future::Future;
use std::pin::Pin;

type Boxed<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

trait Load {
    fn load<'life0, 'life1, 'async_trait>(
        &'life0 self,
        name: &'life1 str,
    ) -> Pin<Box<dyn Future<Output = Result<usize, String>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait;

    fn save<'life0, 'async_trait>(
        &'life0 self,
        id: usize,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait;
}

#[derive(serde::Serialize)]
struct Repo(usize);

impl Load for Repo {
    #[cached(ttl = 60)]
    fn load<'life0, 'life1, 'async_trait>(
        &'life0 self,
        name: &'life1 str,
    ) -> Pin<Box<dyn Future<Output = Result<usize, String>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let __self = self;
            let name = name;
            let __ret: Result<usize, String> = {
                if name.is_empty() {
                    return Err("no name".into());
                }
                Ok(name.len() + __self.0)
            };
            __ret
        })
    }

    #[cache_invalidate(prefix = "repo", key = "{id}")]
    fn save<'life0, 'async_trait>(
        &'life0 self,
        id: usize,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let _ = (self, id);
        })
    }
}

fn other() -> Boxed<'static> {
    Box::pin(async {})
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(Repo(1).load("ab").await, Ok(3));
    assert!(Repo(1).load("").await.is_err());
    Repo(1).save(1).await;
    other().await;
}
