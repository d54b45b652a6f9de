//! Which line has room for a first message, and counting those that were sent (chert §4.2). How
//! much room a line has is [`super::capacity`]'s to say; an inactive one is no line to send from.

use super::errors::{Refusal, code};
use super::place::Terms;
use super::store::{ChatNo, LineNo, Store};
use super::tenants::TenantNo;
use crate::domain::phone::Phone;

/// What is told whom only inactive lines could write to, in seconds: when one of them will be
/// active again nobody knows.
const INACTIVE_S: u32 = 60;

impl Store {
    /// The line of a first message that names none: the person's own, or the next one that can
    /// do what is asked and has room.
    pub(super) fn line_for(
        &mut self,
        tenant: TenantNo,
        phone: &Phone,
        terms: Terms,
    ) -> Result<LineNo, Refusal> {
        let count = self.lines.len();
        let none = || Refusal::new(code::PHONE_NOT_ASSIGNED);
        let first = self.any_line(phone).ok_or_else(none)?;
        let (mut soonest, mut unable): (Option<Refusal>, Option<Refusal>) = (None, None);
        let mut inactive = None;
        for line in (0..count).map(|step| (first + step) % count) {
            if let Err(refusal) = self.able(line, terms.need) {
                unable = Some(refusal);
                continue;
            }
            if !self.is_active(line) {
                inactive = Some(Refusal::new(code::LINES_SATURATED).after(INACTIVE_S));
                continue;
            }
            match self.room(tenant, std::slice::from_ref(phone), line, terms.now_us) {
                Ok(()) => return Ok(line),
                Err(busy) => {
                    let sooner = soonest
                        .as_ref()
                        .is_none_or(|soonest| busy.retry_after < soonest.retry_after);
                    if sooner {
                        soonest = Some(busy);
                    }
                }
            }
        }
        Err(soonest.or(inactive).or(unable).unwrap_or_else(none))
    }

    fn is_active(&self, line: LineNo) -> bool {
        self.lines.get(line).is_some_and(|line| line.is_active)
    }

    /// Whether the line may write to these people now, or in how many whole seconds of the
    /// provider it may. Whom the tenant has written to before is always in order.
    pub(super) fn room(
        &mut self,
        tenant: TenantNo,
        people: &[Phone],
        line: LineNo,
        now_us: i64,
    ) -> Result<(), Refusal> {
        if !self.is_active(line) {
            return Err(Refusal::new(code::PHONE_NOT_ASSIGNED).because("The line is inactive"));
        }
        let Some(capacity) = self.capacity.clone() else {
            return Ok(());
        };
        let touches = &self.account(tenant).touches;
        let next_us = touches.next_us(&capacity, line, now_us);
        if next_us <= now_us || !touches.is_first(people) {
            return Ok(());
        }
        let seconds = (next_us - now_us).unsigned_abs().div_ceil(1_000_000);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        Err(Refusal::new(code::LINES_SATURATED).after(seconds))
    }

    /// Counts a message against its line, if it is the first to somebody.
    pub(super) fn count_touch(&mut self, tenant: TenantNo, chat: ChatNo, now_us: i64) {
        let Some(capacity) = self.capacity.clone() else {
            return;
        };
        if let Some(chat) = self.chats.get(chat) {
            let (people, line) = (chat.phones(), chat.line);
            let touches = &mut self.account(tenant).touches;
            touches.count(&capacity, &people, line, now_us);
        }
    }
}
