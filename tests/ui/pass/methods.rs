//! Methods: every receiver, generic impls, traits.
#![deny(warnings)]

use cache_runtime::{cache_invalidate, cached};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::sync::Arc;

#[derive(Clone, Serialize, Deserialize, PartialEq, Debug)]
struct Tenant {
    id: u32,
}

impl Tenant {
    const FACTOR: u32 = 2;

    #[cached]
    async fn by_reference(&self, n: u32) -> u32 {
        self.id * n * Self::FACTOR
    }

    #[cached(skip(self))]
    async fn skipped<'a>(&'a mut self, n: u32) -> u32 {
        self.id += n;
        self.id
    }

    #[cached]
    async fn by_mutable_reference(&mut self) -> u32 {
        self.id += 1;
        self.id
    }

    #[cached]
    async fn by_value(self) -> Self {
        self
    }

    #[cached]
    async fn by_mutable_value(mut self) -> Result<Self, String> {
        self.id += 1;
        Ok(self)
    }

    #[cached(key = "{self.id}:shared")]
    async fn shared(self: Arc<Self>) -> u32 {
        self.id
    }

    #[cached]
    async fn boxed(self: Box<Self>, n: u32) -> u32 {
        self.id + n
    }

    #[cached]
    async fn associated(n: u32) -> Self {
        Self { id: n }
    }

    #[cache_invalidate(prefix = "tenant", key = "{self.id}:name")]
    async fn rename(&mut self, id: u32) -> &mut Self {
        self.id = id;
        self
    }
}

struct Repo<T>(PhantomData<T>);

impl<T: Table> Repo<T> {
    #[cached(skip(self))]
    async fn rows(&self) -> String {
        T::NAME.to_owned()
    }
}

trait Table {
    const NAME: &'static str;
}

impl Table for u8 {
    const NAME: &'static str = "u8";
}

impl Table for u16 {
    const NAME: &'static str = "u16";
}

trait Load {
    async fn load(&self, id: u32) -> Result<u32, String>;

    #[cached(skip(self))]
    async fn provided(&self, id: u32) -> Result<u32, String> {
        self.load(id).await
    }
}

impl Load for Tenant {
    #[cached]
    async fn load(&self, id: u32) -> Result<u32, String> {
        Ok(self.id + id)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut tenant = Tenant { id: 3 };
    assert_eq!(tenant.by_reference(2).await, 12);
    assert_eq!(Tenant { id: 4 }.by_reference(2).await, 16);
    assert_eq!(tenant.skipped(1).await, 4);
    assert_eq!(tenant.by_mutable_reference().await, 5);
    assert_eq!(tenant.clone().by_value().await, tenant);
    assert_eq!(
        tenant.clone().by_mutable_value().await,
        Ok(Tenant { id: 6 })
    );
    assert_eq!(Arc::new(tenant.clone()).shared().await, 5);
    assert_eq!(Box::new(tenant.clone()).boxed(1).await, 6);
    assert_eq!(Tenant::associated(9).await, Tenant { id: 9 });
    assert_eq!(tenant.rename(8).await.rename(7).await, &Tenant { id: 7 });
    assert_eq!(Repo::<u8>(PhantomData).rows().await, "u8");
    assert_eq!(Repo::<u16>(PhantomData).rows().await, "u16");
    assert_eq!(tenant.provided(1).await, Ok(8));
}
