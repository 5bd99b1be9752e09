//! Classes as operators write them.

use vestibule_http::MatrixError;
use vestibule_policy::Policy;
use vestibule_types::ClassName;

/// A class of the policy in force.
pub(crate) fn class_of(name: &str, policy: &Policy) -> Result<ClassName, MatrixError> {
    let class = ClassName::new(name);
    if policy.class(&class).is_some() {
        return Ok(class);
    }
    let known = policy.classes().map(|class| class.name().as_str()).collect::<Vec<_>>();
    let known = known.join(", ");
    Err(MatrixError::invalid_param(format!("there is no class {name:?}; there are: {known}")))
}
