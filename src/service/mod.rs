//! What runs for as long as it is left to: the receiver of what providers tell by themselves. It
//! sends nothing. An event is kept before the provider is answered (`receiver`) and handled
//! afterwards (`inbox`), so neither waits for the other and no crash loses one.

mod doorway;
pub mod inbox;
pub mod receiver;
