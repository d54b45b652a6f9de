//! From files to domain: campaign, settings, template and list. Every problem of all of them is
//! collected with its place before anything is done. Does not know the ledger or the wire.
