//! The table structs of BitCraft, an open MMO: names and types of fields, as facts, from its
//! `messages` of the Apache-2.0 fork ALLiDoizCode/BitCraftPublic.
//!
//! All tables of state of the game module. Those of the global module are in
//! [`bitcraft_global`](super::bitcraft_global). `String` is [`Text`], `Vec` is [`List`], `Option` is
//! `Maybe`, and the row identities and times of its database are plain numbers.

use super::{Identity, List, Sample, Seed, Text, Time};
use hotpool::PoolObject;
use hotpool::object::{Maybe, Schema};

choices! {
    AbilityType { _Unsupported(u128), Eat(i32), CombatAction(i32), AutoAttack, Custom(i32),
        Prospecting(i32), Equip(i32), DeployableDeploy(i32), AddToToolbelt(i32), DeployableToggle(i32),
        Emote(i32), }
    AbilityTypeEnum { _Unsupported, Eat, CombatAction, AutoAttack, SelfBuff, Custom, Prospecting, Equip,
        DeployableDeploy, AddToToolbelt, DeployableToggle, Emote, }
    ActionLogData { Reserved(ActionLogDataSpaceAllocator), WithdrawItem(ItemStack),
        DepositItem(ItemStack), }
    ActionLogSubjectType { Player = 0, }
    AlertType { None, EvictionWarning, EvictionStatement, DismissableTest, OutOfSupplies,
        OutOfSuppliesInOneTick, OutOfSuppliesInTwelveTicks, NewLostItems,
        CoOwnerClaimOwnershipTransferIn24h, CoOwnerClaimOwnershipTransfer, OfficerClaimOwnershipTransfer,
        MemberClaimOwnershipTransfer, }
    BuffCategory { None, Generic, Rested, RezSicknessShortTerm, RezSicknessLongTerm, InnerLight, Darkness,
        CarryCargo, Freezing, Overheating, FriendWarpDebuff, Starving, ElevatorSickness, NearbyFlame,
        Sprint, }
    ChatChannel { System, Global, Local, Region, Claim, EmpirePublic, EmpireInternal, LookingForGroup,
        Trade, }
    DimensionType { Unknown, Overworld, AncientRuin, BuildingInterior, Dungeon, }
    EnemyStatus { Inactive, Idle, ReturningToIdle, Evasive, Investigating, Fighting, Retreating, }
    EnemyType { None = 0, PracticeDummy = 1, GrassBird = 2, DesertBird = 3, SwampBird = 4, Goat = 5,
        MountainGoat = 6, DeerFemale = 7, DeerMale = 8, Elk = 9, BoarFemale = 10, BoarMale = 11,
        BoarElder = 12, PlainsOx = 13, TundraOx = 14, JungleLargeBird = 15, DesertLargeBird = 16,
        Jakyl = 17, AlphaJakyl = 18, KingJakyl = 19, RockCrab = 20, DesertCrab = 21, FrostCrab = 22,
        ForestToad = 23, SwampToad = 24, FrostToad = 25, Umbura = 26, AlphaUmbura = 27, KingUmbura = 28,
        Drone = 29, Soldier = 30, Queen = 31, Sentinel = 32, SentinelDungeonJakyl = 33,
        SentinelDungeonSkitch = 34, SentinelDungeonLargeJakyl = 35, CrabDungeonCrabBoss = 36,
        CrabDungeonCrabTrash = 37, SpiderDungeonEliteSpider = 38, SpiderDungeonSmallSpider = 39,
        SpiderDungeonSpiderNest = 40, EnragedAlphaJakyl = 41, }
    EquipmentSlotType { MainHand, OffHand, HeadArtifact, TorsoArtifact, HandArtifact, FeetArtifact,
        HeadClothing, TorsoClothing, HandClothing, BeltClothing, LegClothing, FeetClothing, None, }
    FootprintType { Hitbox, Walkable, Perimeter, WalkableResource, }
    ItemType { Item = 0, Cargo, }
    KnowledgeState { Unknown, Discovered, Acquired, }
    NpcType { None, Rumbagh, Svim, Heimlich, Twins, Brico, Tamer, Slayer, }
    PassiveCraftStatus { Queued, Processing, Complete, }
    Permission { PendingVisitor, Visitor, Usage, Inventory, Build, CoOwner, OverrideNoAccess, Owner, }
    PermissionGroup { Player = 0, Claim, Empire, Everyone, }
    PlayerActionLayer { Base, UpperBody, }
    PlayerActionResult { Success, TimingFail, Fail, Cancel, }
    PlayerActionType { None, Attack, DestroyPaving, StationaryEmote, Extract, PaveTile, SpawnCargo, Build,
        Deconstruct, RepairBuilding, ResupplyClaim, CargoPickUp, Terraform, DeployDeployable,
        StoreDeployable, Sleep, Teleport, Death, Climb, UseItem, Craft, ConvertItems, PlayerMove,
        DeployableMove, ResupplyEmpireNode, SetHome, UseElevator, MobileEmote, PlacePillarShaping,
        DestroyPillarShaping, AbilityCustom, Prospect, }
    PlayerVoteAnswer { None, No, Yes, }
    PlayerVoteType { Duel, }
    ProgressiveActionStatus { None, Active, Suspended, Completed, }
    SkillType { None, Any, Forestry, Carpentry, Masonry, Mining, Smithing, Scholar, Leatherworking,
        Hunting, Tailoring, Farming, Fishing, Cooking, Foraging, Construction, Exploration, Taming,
        Slayer, Trading, LoreKeeper, Sailing, }
    SurfaceType { Ground, Lake, River, Ocean, OceanBiome, Swamp, }
    TeleportLocationType { BirthLocation, TradingPost, HomeLocation, CustomLocation, Waystone, }
    TradeSessionStatus { SessionOffered, SessionAccepted, InitiatorAccepted, AcceptorAccepted,
        SessionResolved, }
    UserModerationPolicy { PermanentBlockLogin, TemporaryBlockLogin, BlockChat, BlockConstruct, }
}

parts! {
    ActionCooldown { timestamp: u64, cooldown: f32, }
    ActionLogDataSpaceAllocator { item1: ItemStack, item2: ItemStack, val1: u64, val2: u64, }
    ActiveBuff { buff_id: i32, buff_start_timestamp: OnlineTimestamp, buff_duration: i32,
        values: List<f32>, }
    EquipmentSlot { item: Maybe<ItemStack>, primary: EquipmentSlotType, }
    ExperienceStack { skill_id: i32, quantity: i32, }
    ExperienceStackF32 { skill_id: i32, quantity: f32, }
    FloatHexTileMessage { x: i32, z: i32, dimension: u32, }
    ItemStack { item_id: i32, quantity: i32, item_type: ItemType, durability: Maybe<i32>, }
    KnowledgeEntityEntry { entity_id: u64, state: KnowledgeState, }
    KnowledgeEntry { id: i32, state: KnowledgeState, }
    KnowledgeLocationEntry { location: OffsetCoordinatesSmallMessage, state: KnowledgeState, }
    OffsetCoordinatesFloat { x: i32, z: i32, dimension: u32, }
    OffsetCoordinatesSmallMessage { x: i32, z: i32, dimension: u32, }
    OnlineTimestamp { value: i32, }
    Pocket { volume: i32, contents: Maybe<ItemStack>, locked: bool, }
    SmallHexTileMessage { x: i32, z: i32, dimension: u32, }
    TeleportLocation { location: OffsetCoordinatesSmallMessage, location_type: TeleportLocationType, }
    TradePocket { inventory_pocket_index: i32, inventory_index: i32, contents: ItemStack, }
    VaultCollectible { id: i32, activated: bool, count: i32, }
}

tables! {
    1 AIDebugState { entity_id: u64, target_entity_id: u64, current_destination: OffsetCoordinatesFloat,
        current_position: OffsetCoordinatesFloat, target_position: OffsetCoordinatesFloat, dp: f32, }
    2 AbilityState { entity_id: u64, owner_entity_id: u64, ability: AbilityType, cooldown: ActionCooldown, }
    3 ActionBarState { entity_id: u64, player_entity_id: u64, action_bar_index: u8,
        local_ability_index: u8, ability_entity_id: u64, }
    4 ActionLogState { id: u64, object_entity_id: u64, subject_entity_id: u64, subject_name: Text,
        subject_type: ActionLogSubjectType, data: ActionLogData, timestamp: Time, days_since_epoch: i32, }
    5 ActionState { entity_id: u64, owner_entity_id: u64, action_id: i32, cooldown: ActionCooldown, }
    6 ActiveBuffState { entity_id: u64, active_buffs: List<ActiveBuff>, }
    7 AlertState { entity_id: u64, player_entity_id: u64, target_entity_id: u64, end_timestamp: Time,
        alert_type: AlertType, }
    8 AttachedHerdsState { entity_id: u64, herds_entity_ids: List<u64>, }
    9 AttackOutcomeState { entity_id: u64, last_attacked_timestamp: u64, damage: i32, crit_result: bool,
        dodge_result: bool, }
    10 AuctionListingState { entity_id: u64, owner_entity_id: u64, claim_entity_id: u64, item_id: i32,
        item_type: i32, price_threshold: i32, quantity: i32, timestamp: Time, stored_coins: i32, }
    11 AutoClaimState { entity_id: u64, owner_entity_id: u64, }
    12 BankState { building_entity_id: u64, claim_entity_id: u64, coordinates: SmallHexTileMessage, }
    13 BarterStallState { entity_id: u64, market_mode_enabled: bool, }
    14 BuildingNicknameState { entity_id: u64, nickname: Text, }
    15 BuildingState { entity_id: u64, claim_entity_id: u64, direction_index: i32,
        building_description_id: i32, constructed_by_player_entity_id: u64, }
    16 CharacterStatsState { entity_id: u64, values: List<f32>, }
    17 ChatMessageState { entity_id: u64, username: Text, title_id: i32, channel_id: i32, target_id: u64,
        text: Text, timestamp: i32, owner_entity_id: u64, }
    18 ClaimLocalState { entity_id: u64, supplies: i32, building_maintenance: f32, num_tiles: i32,
        num_tile_neighbors: u32, location: Maybe<OffsetCoordinatesSmallMessage>, treasury: u32,
        xp_gained_since_last_coin_minting: u32, supplies_purchase_threshold: u32,
        supplies_purchase_price: f32, building_description_id: i32, }
    19 ClaimLocalSupplySecurityThresholdState { entity_id: u64, supply_security_threshold_hours: i32, }
    20 ClaimMemberState { entity_id: u64, claim_entity_id: u64, player_entity_id: u64, user_name: Text,
        inventory_permission: bool, build_permission: bool, officer_permission: bool,
        co_owner_permission: bool, }
    21 ClaimRecruitmentState { entity_id: u64, claim_entity_id: u64, remaining_stock: i32,
        required_skill_id: i32, required_skill_level: i32, required_approval: bool, }
    22 ClaimState { entity_id: u64, owner_player_entity_id: u64, owner_building_entity_id: u64,
        name: Text, neutral: bool, }
    23 ClaimTechState { entity_id: u64, learned: List<i32>, researching: i32, start_timestamp: Time,
        scheduled_id: Maybe<u64>, }
    24 ClaimTileState { entity_id: u64, claim_id: u64, }
    25 ClosedListingState { entity_id: u64, owner_entity_id: u64, claim_entity_id: u64,
        item_stack: ItemStack, timestamp: Time, }
    26 CombatDimensionState { dimension_id: u32, }
    27 CombatState { entity_id: u64, last_attacked_timestamp: u64, last_performed_action_entity_id: u64,
        global_cooldown: Maybe<ActionCooldown>, }
    28 ContributionState { entity_id: u64, player_entity_id: u64, enemy_entity_id: u64, contribution: f32, }
    29 CrumbTrailContributionLockState { entity_id: u64, crumb_trail_entity_id: u64, }
    30 CrumbTrailContributionSpentState { entity_id: u64, player_entity_id: u64,
        crumb_trail_entity_id: u64, }
    31 CrumbTrailState { entity_id: u64, original_location: OffsetCoordinatesSmallMessage,
        crumb_locations: List<OffsetCoordinatesSmallMessage>, crumb_radiuses: List<i32>,
        prize_location: OffsetCoordinatesSmallMessage, active_step: i32, prize_entity_ids: List<u64>,
        join_radius: i32, clean_up_counter: i32, }
    32 DeployableCollectibleState { deployable_entity_id: u64, owner_entity_id: u64, collectible_id: i32,
        deployable_desc_id: i32, location: Maybe<OffsetCoordinatesSmallMessage>, }
    33 DeployableCollectibleStateV2 { deployable_entity_id: u64, owner_entity_id: u64,
        collectible_id: i32, deployable_desc_id: i32, location: Maybe<OffsetCoordinatesSmallMessage>,
        auto_follow: bool, }
    34 DeployableState { entity_id: u64, owner_id: u64, claim_entity_id: u64, direction: i32,
        deployable_description_id: i32, nickname: Text, hidden: bool, }
    35 DimensionDescriptionState { entity_id: u64, dimension_network_entity_id: u64,
        collapse_timestamp: u64, interior_instance_id: i32, dimension_position_large_x: u32,
        dimension_position_large_z: u32, dimension_size_large_x: u32, dimension_size_large_z: u32,
        dimension_id: u32, dimension_type: DimensionType, }
    36 DimensionNetworkState { entity_id: u64, building_id: u64, collapse_respawn_timestamp: u64,
        rent_entity_id: u64, claim_entity_id: u64, entrance_dimension_id: u32, is_collapsed: bool, }
    37 DistantVisibleEntity { entity_id: u64, chunk_index: u64, }
    38 DroppedInventoryState { entity_id: u64, owner_entity_id: u64, active_timer_id: u64, }
    39 DuelState { entity_id: u64, initiator_entity_id: u64, acceptor_entity_id: u64, victor: Maybe<u64>,
        player_entity_ids: List<u64>, out_of_range_timestamps: List<Maybe<Time>>, }
    40 DungeonState { entity_id: u64, location: OffsetCoordinatesSmallMessage, }
    41 EmpireChunkState { chunk_index: u64, empire_entity_id: List<u64>, }
    42 EmpireExpansionState { chunk_index: u64, empire_entity_id: List<u64>, }
    43 EmpireNodeSiegeState { entity_id: u64, building_entity_id: u64, empire_entity_id: u64, energy: i32,
        active: bool, start_timestamp: Maybe<Time>, }
    44 EmpireNodeState { entity_id: u64, empire_entity_id: u64, chunk_index: u64, energy: i32,
        active: bool, upkeep: i32, location: OffsetCoordinatesSmallMessage, }
    45 EmpirePlayerDataState { entity_id: u64, empire_entity_id: u64, rank: u8, donated_shards: u32,
        noble: Maybe<Time>, }
    46 EmpireRankState { entity_id: u64, empire_entity_id: u64, rank: u8, title: Text,
        permissions: List<bool>, }
    47 EmpireSettlementState { building_entity_id: u64, claim_entity_id: u64, empire_entity_id: u64,
        chunk_index: u64, can_house_empire_storehouse: bool, members_donations: u32,
        location: OffsetCoordinatesSmallMessage, }
    48 EmpireState { entity_id: u64, capital_building_entity_id: u64, name: Text, shard_treasury: u32,
        nobility_threshold: i32, num_claims: i32, location: OffsetCoordinatesSmallMessage, }
    49 EnemyMobMonitorState { entity_id: u64, enemy_type: EnemyType, herd_entity_id: u64,
        herd_location: OffsetCoordinatesSmallMessage, }
    50 EnemyScalingState { entity_id: u64, enemy_scaling_id: i32, }
    51 EnemyState { entity_id: u64, herd_entity_id: u64, direction: i32, status: EnemyStatus,
        last_ranged_attack_timestamp: Time, enemy_type: EnemyType, }
    52 EquipmentState { entity_id: u64, equipment_slots: List<EquipmentSlot>, }
    53 ExperienceState { entity_id: u64, experience_stacks: List<ExperienceStack>, }
    54 ExplorationChunksState { entity_id: u64, bitmap: List<u64>, explored_chunks_count: i32, }
    55 ExtractOutcomeState { entity_id: u64, target_entity_id: u64, last_timestamp: Time, damage: i32, }
    56 FootprintTileState { entity_id: u64, owner_entity_id: u64, footprint_type: FootprintType, }
    57 GlobalSearchState { entity_id: u64, found_entity_id: u64, found_entity_name: Text, x: i32, z: i32,
        timestamp: Time, }
    58 GrowthState { entity_id: u64, end_timestamp: Time, growth_recipe_id: i32, }
    59 HealthState { entity_id: u64, last_health_decrease_timestamp: Time, health: f32,
        died_timestamp: i32, }
    60 HerdState { entity_id: u64, enemy_ai_params_desc_id: i32, current_population: i32,
        ignore_eagerness: bool, population_variance: List<f32>, crumb_trail_entity_id: u64, }
    61 InteriorCollapseTriggerState { entity_id: u64, dimension_network_entity_id: u64, }
    62 InteriorPlayerCountState { entity_id: u64, dimension_network_entity_id: u64, player_count: u32, }
    63 InventoryState { entity_id: u64, pockets: List<Pocket>, inventory_index: i32, cargo_index: i32,
        owner_entity_id: u64, player_owner_entity_id: u64, }
    64 KnowledgeAchievementState { entity_id: u64, entries: List<KnowledgeEntry>, }
    65 KnowledgeBattleActionState { entity_id: u64, entries: List<KnowledgeEntry>, }
    66 KnowledgeBuildingState { entity_id: u64, entries: List<KnowledgeEntry>, }
    67 KnowledgeCargoState { entity_id: u64, entries: List<KnowledgeEntry>, }
    68 KnowledgeClaimState { entity_id: u64, entries: List<KnowledgeEntityEntry>, }
    69 KnowledgeConstructionState { entity_id: u64, entries: List<KnowledgeEntry>, }
    70 KnowledgeCraftState { entity_id: u64, entries: List<KnowledgeEntry>, }
    71 KnowledgeDeployableState { entity_id: u64, entries: List<KnowledgeEntry>, }
    72 KnowledgeEnemyState { entity_id: u64, entries: List<KnowledgeEntry>, }
    73 KnowledgeExtractState { entity_id: u64, entries: List<KnowledgeEntry>, }
    74 KnowledgeItemState { entity_id: u64, entries: List<KnowledgeEntry>, }
    75 KnowledgeLoreState { entity_id: u64, entries: List<KnowledgeEntry>, }
    76 KnowledgeNpcState { entity_id: u64, entries: List<KnowledgeEntry>, }
    77 KnowledgePavingState { entity_id: u64, entries: List<KnowledgeEntry>, }
    78 KnowledgePillarShapingState { entity_id: u64, entries: List<KnowledgeEntry>, }
    79 KnowledgeResourcePlacementState { entity_id: u64, entries: List<KnowledgeEntry>, }
    80 KnowledgeResourceState { entity_id: u64, entries: List<KnowledgeEntry>, }
    81 KnowledgeRuinsState { entity_id: u64, entries: List<KnowledgeLocationEntry>, }
    82 KnowledgeSecondaryState { entity_id: u64, entries: List<KnowledgeEntry>, }
    83 KnowledgeVaultState { entity_id: u64, entries: List<KnowledgeEntry>, }
    84 LightSourceState { entity_id: u64, radius: f32, }
    85 LocationState { entity_id: u64, chunk_index: u64, x: i32, z: i32, dimension: u32, }
    86 LootChestState { entity_id: u64, building_entity_id: u64, loot_chest_id: i32, direction_index: i32,
        building_spawn_id: i32, }
    87 LostItemsState { inventory_entity_id: u64, owner_entity_id: u64,
        location: OffsetCoordinatesSmallMessage, }
    88 MarketplaceState { building_entity_id: u64, claim_entity_id: u64, coordinates: SmallHexTileMessage, }
    89 MobileEntityState { entity_id: u64, chunk_index: u64, timestamp: u64, location_x: i32,
        location_z: i32, destination_x: i32, destination_z: i32, dimension: u32, is_running: bool,
        _pad1: u8, _pad2: u8, _pad3: u8, }
    90 ModerationActionLogEntry { entity_id: u64, report_entity_id: u64, reported_player_entity_id: u64,
        admin_name: Text, reported_player_username: Text, action_type: Text, moderation_notice: Text,
        details: Text, timestamp: i32, }
    91 MountingState { entity_id: u64, deployable_entity_id: u64, deployable_slot: i32, }
    92 MoveValidationStrikeCounterState { entity_id: u64, validation_failure_timestamps: List<Time>, }
    93 NpcState { entity_id: u64, npc_type: NpcType, direction: i32, building_entity_id: u64,
        next_action_timestamp: Time, move_duration: f32, started_moving: u64,
        previous_buildings: List<u64>, traveling: bool, }
    94 OnboardingState { entity_id: u64, completed_states: List<u16>, current_quests: List<u16>,
        completed_quests: List<u16>, }
    95 PartialExperienceState { entity_id: u64, experience_stacks: List<ExperienceStackF32>, }
    96 PassiveCraftState { entity_id: u64, owner_entity_id: u64, recipe_id: i32, building_entity_id: u64,
        timestamp: Time, status: PassiveCraftStatus, slot: Maybe<u32>, }
    97 PavedTileState { entity_id: u64, tile_type_id: i32, related_entity_id: u64, }
    98 PermissionState { entity_id: u64, ordained_entity_id: u64, allowed_entity_id: u64, group: i32,
        rank: i32, }
    99 PillarShapingState { entity_id: u64, pillar_type_id: i32, }
    100 PlayerActionState { auto_id: u64, chunk_index: u64, entity_id: u64, start_time: u64,
        duration: u64, target: Maybe<u64>, recipe_id: Maybe<i32>, action_type: PlayerActionType,
        layer: PlayerActionLayer, last_action_result: PlayerActionResult, client_cancel: bool, _pad: u32, }
    101 PlayerHousingCustomizationState { entity_id: u64, wall_collectible_id: i32,
        floor_collectible_id: i32, }
    102 PlayerHousingMovingCostState { entity_id: u64, moving_time_cost_minutes: i32, }
    103 PlayerHousingState { entity_id: u64, entrance_building_entity_id: u64, network_entity_id: u64,
        exit_portal_entity_id: u64, rank: i32, locked_until: Time, is_empty: bool, region_index: u8, }
    104 PlayerLowercaseUsernameState { entity_id: u64, username_lowercase: Text, }
    105 PlayerNoteState { entity_id: u64, text: Text, }
    106 PlayerPrefsState { entity_id: u64, default_deployable_collectible_id: i32, }
    107 PlayerQueueState { index: u64, entity_id: u64, }
    108 PlayerReportState { entity_id: u64, reporter_entity_id: u64, reported_player_entity_id: u64,
        reported_player_username: Text, report_type: Text, report_message: Text,
        reported_chat_message: Maybe<ChatMessageState>,
        chat_channel_context: Maybe<List<ChatMessageState>>,
        chat_user_context: Maybe<List<ChatMessageState>>, actioned: bool, }
    109 PlayerReportStateTimestamp { entity_id: u64, timestamp: i32, }
    110 PlayerSettingsState { entity_id: u64, fill_deployable_inventory_first: bool, }
    111 PlayerSettingsStateV2 { entity_id: u64, fill_player_inventory: bool,
        fill_deployable_inventory_first: bool, }
    112 PlayerState { teleport_location: TeleportLocation, entity_id: u64, time_played: i32,
        session_start_timestamp: i32, time_signed_in: i32, sign_in_timestamp: i32, signed_in: bool,
        traveler_tasks_expiration: i32, }
    113 PlayerTimestampState { entity_id: u64, timestamp: Time, }
    114 PlayerUsernameState { entity_id: u64, username: Text, }
    115 PlayerVoteState { entity_id: u64, vote_type: PlayerVoteType, initiator_entity_id: u64,
        participants_entity_id: List<u64>, answers: List<PlayerVoteAnswer>, initiator_name: Text,
        pass_threshold: f32, outcome: PlayerVoteAnswer, argument1: u64, argument2: u64, outcome_str: Text, }
    116 PortalState { entity_id: u64, target_building_entity_id: u64, destination_x: i32,
        destination_z: i32, destination_dimension: u32, enabled: bool, allow_deployables: bool, }
    117 ProgressiveActionState { entity_id: u64, building_entity_id: u64, function_type: i32,
        progress: i32, recipe_id: i32, craft_count: i32, last_crit_outcome: i32, owner_entity_id: u64,
        lock_expiration: Time, preparation: bool, }
    118 ProjectSiteState { entity_id: u64, construction_recipe_id: i32, resource_placement_recipe_id: i32,
        items: List<ItemStack>, cargos: List<ItemStack>, progress: i32, last_crit_outcome: i32,
        owner_id: u64, direction: i32, last_hit_timestamp: Time, }
    119 ProspectingState { entity_id: u64, prospecting_id: i32, crumb_trail_entity_id: u64,
        completed_steps: i32, ongoing_step: i32, total_steps: i32, next_crumb_angle: List<f32>,
        last_prospection_timestamp: Time, contribution: i32, }
    120 PublicProgressiveActionState { entity_id: u64, building_entity_id: u64, owner_entity_id: u64, }
    121 QuestChainState { entity_id: u64, player_entity_id: u64, quest_chain_desc_id: i32, stage_id: i32,
        is_active: bool, completed: bool, stage_rewards_awarded: List<i32>, }
    122 RentState { entity_id: u64, dimension_network_id: u64, claim_entity_id: u64,
        white_list: List<u64>, daily_rent: u32, paid_rent: u32, active: bool, defaulted: bool,
        eviction_timestamp: Maybe<Time>, }
    123 ResourceHealthState { entity_id: u64, health: i32, }
    124 ResourceState { entity_id: u64, resource_id: i32, direction_index: i32, }
    125 RezSickLongTermState { entity_id: u64, }
    126 SatiationState { entity_id: u64, satiation: f32, }
    127 SignedInPlayerState { entity_id: u64, }
    128 StaminaState { entity_id: u64, last_stamina_decrease_timestamp: Time, stamina: f32, }
    129 StarvingPlayerState { entity_id: u64, }
    130 TargetState { entity_id: u64, target_entity_id: u64, }
    131 TargetableState { entity_id: u64, }
    132 TeleportationEnergyState { entity_id: u64, energy: f32, }
    133 TerraformProgressState { entity_id: u64, final_height_target: i16, next_height_target: i16,
        progress: i32, }
    134 TerrainChunkState { chunk_index: u64, chunk_x: i32, chunk_z: i32, dimension: u32,
        biomes: List<u32>, biome_density: List<u32>, elevations: List<i16>, water_levels: List<i16>,
        water_body_types: List<u8>, zoning_types: List<u8>, original_elevations: List<i16>, }
    135 TheGreatPlaceHolderTable { placeholder_id: u64, placeholder_skill_type: SkillType,
        placeholder_buff_category: BuffCategory, placeholder: ProgressiveActionStatus,
        placeholder_water_body_type: SurfaceType, chat_channel: ChatChannel, permission: Permission,
        permission_group: PermissionGroup, ability_type: AbilityTypeEnum, }
    136 ThreatState { entity_id: u64, owner_entity_id: u64, target_entity_id: u64, threat: f32, }
    137 ToolbarState { entity_id: u64, owner_entity_id: u64, index: u8, actions: List<u64>, }
    138 TradeOrderState { entity_id: u64, shop_entity_id: u64, remaining_stock: i32,
        offer_items: List<ItemStack>, offer_cargo_id: List<i32>, required_items: List<ItemStack>,
        required_cargo_id: List<i32>, traveler_trade_order_id: Maybe<i32>, }
    139 TradeSessionState { entity_id: u64, status: TradeSessionStatus, initiator_entity_id: u64,
        acceptor_entity_id: u64, initiator_offer: List<TradePocket>, acceptor_offer: List<TradePocket>,
        updated_at: Time, resolution_message: Text, }
    140 TravelerTaskState { entity_id: u64, player_entity_id: u64, traveler_id: i32, task_id: i32,
        completed: bool, }
    141 UnclaimedCollectiblesState { identity: Identity, collectibles: List<i32>, }
    142 UnclaimedShardsState { identity: Identity, shards: u32, }
    143 UserAuthenticationState { identity: Identity, timestamp: Time, }
    144 UserModerationState { entity_id: u64, target_entity_id: u64, created_by_entity_id: u64,
        user_moderation_policy: UserModerationPolicy, created_time: Time, expiration_time: Time,
        duration_ms: u64, }
    145 UserPreviousRegionState { identity: Identity, previous_region_location: FloatHexTileMessage,
        with_vehicle: bool, allow_cancel: bool, teleport_energy_cost: f32, }
    146 UserState { identity: Identity, entity_id: u64, can_sign_in: bool, }
    147 VaultState { entity_id: u64, collectibles: List<VaultCollectible>, }
    148 WaystoneState { building_entity_id: u64, claim_entity_id: u64, coordinates: SmallHexTileMessage, }
    149 WorldRegionNameState { id: u16, player_facing_name: Text, module_name_prefix: Text, }
    150 WorldRegionState { id: u8, region_min_chunk_x: u16, region_min_chunk_z: u16,
        region_width_chunks: u16, region_height_chunks: u16, region_index: u8, region_count: u8,
        region_count_sqrt: u8, }
}
