//! Matrix identifiers as key parts. They are stored as their text and checked again when read.

use ruma::{
    DeviceId, EventId, OwnedDeviceId, OwnedEventId, OwnedRoomAliasId, OwnedRoomId, OwnedServerName,
    OwnedTransactionId, OwnedUserId, RoomAliasId, RoomId, ServerName, TransactionId, UserId,
};

use crate::{AsPart, EncodeBuf, KeyPart};

macro_rules! identifier {
    ($($owned:ty, $borrowed:ty;)+) => {$(
        impl KeyPart for $owned {
            fn encode(&self, out: &mut EncodeBuf) {
                out.escaped(self.as_str().as_bytes());
            }

            fn decode(input: &mut &[u8]) -> Option<Self> {
                String::decode(input)?.try_into().ok()
            }
        }

        impl AsPart<$owned> for &$borrowed {
            fn encode_part(&self, out: &mut EncodeBuf) {
                out.escaped(self.as_str().as_bytes());
            }
        }
    )+};
}

identifier! {
    OwnedDeviceId, DeviceId;
    OwnedEventId, EventId;
    OwnedRoomAliasId, RoomAliasId;
    OwnedRoomId, RoomId;
    OwnedServerName, ServerName;
    OwnedTransactionId, TransactionId;
    OwnedUserId, UserId;
}
