//! What people are reached and recovered by: e-mail addresses, and how somebody proves to have one.
//!
//! Telephone numbers are not supported, and identity servers are not talked to.

mod add;
mod address;
mod confirm;
mod delete;
mod letter;
mod list;
mod request;
mod rows;
mod session;

pub use vestibule_storage::tables::contact::StoredValidationPurpose as ValidationPurpose;

pub use self::{
    add::{AddContact, AddContactError},
    confirm::{ConfirmEmailError, EmailQuestion},
    delete::DeleteContactError,
    letter::CONFIRM_PATH,
    list::Contact,
    request::{RequestValidation, RequestValidationError},
};
pub(crate) use self::{
    address::canonical_email,
    rows::{drop_contacts, owner, put_contact},
    session::{ProvenEmail, consume},
};

/// The medium of e-mail addresses (appendices, "3PID types").
pub(crate) const EMAIL: &str = "email";
