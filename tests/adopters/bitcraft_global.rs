//! The table structs of the global module of BitCraft, from the same Apache-2.0 fork as
//! [`bitcraft`](super::bitcraft_tables). `PlayerVoteState` is in both modules, and is there.

use super::{Identity, List, Sample, Seed, Text, Time};
use hotpool::PoolObject;
use hotpool::object::{Maybe, Schema};

choices! {
    ChatChannelVisibility { Unlisted, Controlled, Public, }
    EmpireNotificationType { None, NewMember, MarkedForSiege, StartedSiege, StartedDefense,
        SuccessfulSiege, SuccessfulDefense, FailedSiege, FailedDefense, MemberLeft, WatchtowerBuilt,
        ClaimJoined, ClaimLeft, Donation, DonationByProxy, }
    HubItemType { HexiteShards, Collectible, }
    VisibilityType { Public, FriendsAndClaim, Friends, Private, }
}

tables! {
    151 UserRegionState { identity: Identity, region_id: u8, }
    152 PlayerShardState { entity_id: u64, shards: u32, last_shard_claim: i32, }
    153 GrantedHubItemState { entity_id: u64, identity: Identity, item_type: HubItemType, item_id: i32,
        balance: u32, }
    154 PlayerDeveloperNotificationState { entity_id: u64, title: Text, message: Text, }
    155 DirectMessageState { entity_id: u64, username: Text, title_id: i32, sender_entity_id: u64,
        receiver_entity_id: u64, text: Text, timestamp: i32, language_code: Maybe<Text>, }
    156 ChatChannelState { entity_id: u64, name: Text, lowercase_name: Text, description: Text,
        visibility: ChatChannelVisibility, }
    157 ChatChannelPermissionState { entity_id: u64, chat_channel_entity_id: u64, player_entity_id: u64,
        identity: Identity, rank: i32, }
    158 BlockedPlayerState { owner_entity_id: u64, blocked_entity_id: u64, }
    159 FriendsState { entity_id: u64, owner_entity_id: u64, friend_entity_id: u64, is_favorite: bool, }
    160 VisibilityState { entity_id: u64, visibility: VisibilityType, }
    161 UserCreationTimestampState { identity: Identity, timestamp: Time, }
    162 PremiumPurchaseState { entity_id: u64, identity: Identity, collectible_desc_id: Maybe<i32>,
        price: u32, timestamp: Time, processed: bool, quantity: u32, }
    163 EmpireEmblemState { entity_id: u64, icon_id: i32, shape_id: i32, color1_id: i32, color2_id: i32, }
    164 EmpireDirectiveState { entity_id: u64, directive_message: Text,
        directive_message_timestamp: Maybe<Time>, }
    165 EmpirePlayerLogState { entity_id: u64, empire_entity_id: u64, last_viewed: u64, }
    166 EmpireLogState { entity_id: u64, last_posted: u64, }
    167 EmpireFoundryState { entity_id: u64, empire_entity_id: u64, hexite_capsules: i32, queued: i32,
        started: Time, }
    168 EmpireNotificationState { entity_id: u64, empire_entity_id: u64,
        notification_type: EmpireNotificationType, text_replacement: List<Text>, timestamp: i32, }
    169 EmpireSiegeEngineState { entity_id: u64, building_entity_id: u64, }
}
