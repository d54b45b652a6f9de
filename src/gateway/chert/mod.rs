//! Chert: iMessage.
