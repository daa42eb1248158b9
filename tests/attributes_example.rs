//! `examples/attributes.rs` prints the same whenever it runs, with Redis and without.

#[path = "../examples/attributes.rs"]
#[expect(dead_code, reason = "`main` is the example's")]
mod attributes;
mod support;

use support::RedisServer;

const PRINTED: &str = "\
#[cached]
  ttl                     [1, 1], and 2 once it had expired
  negative_ttl            [None, None], and Some(2) soon after
  cache_if                [1, 2, 2]: the first was not kept
  bypass                  [1, 2, 1]: the second asked for it
  prefix                  shop:offers:offers:1
  key                     user:42:page:3
  skip                    post:post:1
  sensitive               session:##262b507e916e6cb28c0d86b43a64a6052994528fbdb2980d023c6b10d3724912
  tags                    [1, 1], and 2 after its tag
  batch                   {1: 1, 2: 1}, and with one more {1: 1, 2: 1, 3: 2}
  version                 [1, 1], not the 100 of no version
  codec                   [1, 1], as JSON in Redis
  compress                [[1, 1], [1, 1]], in fewer bytes where it is large
  near                    0 answers by the process
  near_ttl                [1, 1], from Redis each second
  cache                   [1, 1], in the default one: false
  crate                   [1, 1]
  coalesce                (1, 1, 1), asked for together
  max_loads               (1, 1, 1) bodies at once
  stale_while_revalidate  1 though it had expired, and 2 once that was loaded
  background              2, since the first to need it loads it
  stale_if_error          Ok(1), though the body failed
  load_timeout            Ok(1) while the load went on, then Ok(2)
  early_refresh           a load began before it had expired: true
#[cache_invalidate]
  prefix                  1, then 2
  key                     1, then 2
  sensitive               1, then 2
  tags                    2, then 3
  pattern                 3, then 4
  entry                   1, then 2
  when                    2, then 3; where it failed: 2, then 2
  cache                   1, then 2
  crate                   2, then 3
#[cache_put]
  entry                   then Some(100)
  ttl                     then Some(200), and soon None
  crate                   then Some(300)
";

#[tokio::test]
async fn each_option_does_what_the_example_says_with_redis_and_without() {
    let server = RedisServer::start();
    for redis_url in [None, Some(server.url())] {
        let report = attributes::report_of(redis_url.as_deref()).await;
        let printed = report.expect("the caches open").join("\n");
        assert_eq!(printed, PRINTED.trim_end(), "{redis_url:?}");
    }
}
