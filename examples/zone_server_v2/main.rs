//! The second version of the server in `examples/zone_server`, whose structs have changed.
//!
//! It finds the objects of the first version in its own form. Until it is ready, the first version
//! can be started again, and finds them as they were:
//!
//! ```text
//! cargo run --release --example zone_server &
//! redis-cli -p 7100 LOGIN 7
//! cargo run --release --example zone_server_v2 -- --schemas > new.json
//! hotpool compat new.json zone
//! kill -9 %1; cargo run --release --example zone_server_v2 &
//! redis-cli -p 7100 SHOW 7
//! ```
//!
//! Everything but the structs is the same.

#[path = "../zone_server/client.rs"]
mod client;
#[path = "../zone_server/program.rs"]
mod program;
#[path = "../zone_server/server.rs"]
mod server;
mod structs;
#[path = "../zone_server/zone.rs"]
mod zone;

fn main() -> anyhow::Result<()> {
    program::run()
}
