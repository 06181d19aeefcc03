//! A history that breaks a rule, made short: steps are left out as long as the same rule is broken.
//!
//! First halves of the list are tried, then quarters and so on down to single steps (Zeller, Hildebrandt, "Simplifying and isolating
//! failure-inducing input", 2002), with a budget, since some histories take long.

use crate::plan::{Plan, Step};
use crate::report::Failure;
use crate::schema::Schema;
use crate::settings::Simulation;

/// How many shorter histories are tried at most.
const ATTEMPTS: u32 = 600;

/// The shortest history found that breaks the same rule, with its trace.
pub(crate) fn shrink(settings: &Simulation, schema: &dyn Schema, plan: Plan, failure: Failure) -> Failure {
    let drawn = plan.steps.len();
    let rule = rule(&failure.what);
    let mut plan = plan;
    let mut attempts = 0;
    let mut fails = |plan: &Plan| {
        attempts += 1;
        let failed = |failure: &Failure| self::rule(&failure.what) == rule;
        attempts <= ATTEMPTS && settings.attempt(schema, plan, false).is_err_and(|failure| failed(&failure))
    };
    let mut size = plan.steps.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        let mut removed = false;
        while from < plan.steps.len() {
            let until = (from + size).min(plan.steps.len());
            let kept: Vec<Step> = plan.steps[..from].iter().chain(&plan.steps[until..]).copied().collect();
            let shorter = Plan { steps: kept, ..plan.clone() };
            if fails(&shorter) {
                plan = shorter;
                removed = true;
            } else {
                from = until;
            }
        }
        // Single steps are tried until none can go.
        if size == 1 && removed {
            continue;
        }
        size /= 2;
    }
    let traced = settings.attempt(schema, &plan, true);
    let shortest = traced.err().map_or(failure, |failure| *failure);
    Failure { drawn, ..shortest }
}

/// What makes two failures the same: the words before the first detail.
fn rule(what: &str) -> String {
    let end = what.find([':', '\n']).unwrap_or(what.len());
    what[..end].chars().filter(|character| !character.is_ascii_digit()).collect()
}
