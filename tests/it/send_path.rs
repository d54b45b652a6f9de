//! The send path as a promise: the real program against a sandbox in another process, killed,
//! stopped, throttled and lied to. The sandbox's record is the oracle; what the program says of
//! itself is only compared with it.

mod once;
