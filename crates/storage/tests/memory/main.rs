//! The in-memory engine keeps the contract, with one slot and with three.

#[cfg(test)]
#[macro_use]
mod contract;

contract_suite!(one_slot, || contract::Rig::keeping(vestibule_storage::MemoryEngine::new(1), ()));
contract_suite!(three_slots, || contract::Rig::keeping(
    vestibule_storage::MemoryEngine::new(3),
    ()
));
