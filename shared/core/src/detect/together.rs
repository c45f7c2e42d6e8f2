//! Quiet together: so many functions of an account are low at once that it is the account's news.
//!
//! Claim: "these functions went quiet together", where each alone would be told as a volume that is down. What is behind it is
//! one thing, a broken entry or a holiday, so it is told once, as rare, and the volume of each is held back meanwhile. A
//! function is low where the rate detector says so ([`Baseline::is_low`](crate::baseline::Baseline::is_low)). Three others
//! and a tenth of the account's functions are `DETECTION.md`'s account rule. There is deliberately no state here.

use super::{Detail, Finding, Level};
use crate::entity::{Entity, EntityKind};
use crate::time::WindowId;

/// Others that must be low, and the least share of the account's functions.
const OTHERS_LEAST: usize = 3;
const OTHERS_SHARE: f64 = 0.1;

/// Whether so many functions are low beside one that its low volume is the account's news.
pub fn is_news(others_low: usize, functions: usize) -> bool {
    others_low >= OTHERS_LEAST && others_low as f64 >= OTHERS_SHARE * functions as f64
}

/// The account's line, if as many functions are low together as hold back the volume of each.
pub fn judge(account: &str, low: usize, functions: usize, window: WindowId, learnt_days: f64) -> Option<Finding> {
    if !is_news(low.checked_sub(1)?, functions) {
        return None;
    }
    Some(Finding {
        entity: Entity { kind: EntityKind::Service, id: format!("account {account}") },
        subject: "quiet together".to_owned(),
        window,
        judged: window,
        level: Level::Rare,
        years: 0.0,
        learnt_days,
        span: None,
        count: low as u64,
        detail: Detail::Quiet { functions: low as u64 },
        before: Vec::new(),
        hours: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_of_a_few_and_a_tenth_of_many() {
        let said = |low, functions| judge("1", low, functions, WindowId(0), 9.0).map(|f| f.count);
        assert_eq!([said(0, 9), said(3, 9), said(4, 9), said(9, 9)], [None, None, Some(4), Some(9)]);
        assert_eq!([said(10, 100), said(11, 100)], [None, Some(11)], "the others are a tenth");
    }
}
