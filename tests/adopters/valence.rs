//! The components of Valence, a framework for Minecraft servers: names and types of fields, as facts,
//! from the MIT-licensed valence-rs/valence.
//!
//! A component without a name for its field has `value`. `String` and `Ident` are [`Text`], `Vec` and
//! `Box<[T]>` are [`List`], `Option` is `Maybe`, maps and sets are [`Map`] and [`Set`], and an `Entity`
//! or a number that Valence generates (kinds of items, effects and attributes) is a number. A chat text
//! is its JSON, and the NBT of an item its bytes: both are trees without a bound.

use super::{List, Map, Sample, Seed, Set, Text};
use hotpool::PoolObject;
use hotpool::object::{Maybe, Schema};

type Entity = u64;
type Uuid = u128;
type StatusEffect = u8;
type EntityAttribute = u8;

choices! {
    AdvancementFrameType { Task, Challenge, Goal, }
    BossBarColor { Pink, Blue, Red, Green, Yellow, Purple, White, }
    BossBarDivision { NoDivision, SixNotches, TenNotches, TwelveNotches, TwentyNotches, }
    ChatMode { Enabled, CommandsOnly, Hidden, }
    DirectionValue { Down, Up, North, South, West, East, }
    ForceTabUpdate { None, First, Spec(Entity), }
    GameModeValue { Survival, Creative, Adventure, Spectator, }
    InventoryKind { Generic9x1, Generic9x2, Generic9x3, Generic9x4, Generic9x5, Generic9x6, Generic3x3,
        Anvil, Beacon, BlastFurnace, BrewingStand, Crafting, Enchantment, Furnace, Grindstone, Hopper,
        Lectern, Loom, Merchant, ShulkerBox, Smithing, Smoker, Cartography, Stonecutter, Player, }
    IpAddr { V4([u8; 4]), V6([u8; 16]), }
    ObjectiveRenderTypeValue { Integer, Hearts, }
    ScoreboardPositionValue { List, Sidebar, BelowName, SidebarTeam(TeamColor), }
    StatusEffectChange { Apply(ActiveStatusEffect), Replace(ActiveStatusEffect), Remove(StatusEffect),
        RemoveAll, Expire(StatusEffect), }
    TeamColor { Black, DarkBlue, DarkGreen, DarkCyan, DarkRed, Purple, Gold, Gray, DarkGray, Blue,
        BrightGreen, Cyan, Red, Pink, Yellow, White, Obfuscated, Bold, Strikethrough, Underlined, Italic,
        Reset, }
}

parts! {
    ActiveStatusEffect { effect: StatusEffect, amplifier: u8, initial_duration: Maybe<i32>, active_ticks: i32,
        ambient: bool, show_particles: bool, show_icon: bool, }
    Aabb { min: DVec3, max: DVec3, }
    AttributeInstance { attribute: EntityAttribute, base_value: f64, add_modifiers: Map<Uuid, f64>,
        multiply_base_modifiers: Map<Uuid, f64>, multiply_total_modifiers: Map<Uuid, f64>, }
    BlockPos { x: i32, y: i32, z: i32, }
    Death { dimension: Text, pos: BlockPos, }
    DVec3 { x: f64, y: f64, z: f64, }
    InitEntry { index: u8, len: u32, }
    ItemStack { item: u16, count: i8, nbt: Maybe<List<u8>>, }
    LookValue { yaw: f32, pitch: f32, }
    Progress { advancement: Entity, at: Maybe<i64>, }
    Property { name: Text, value: Text, signature: Maybe<Text>, }
    TrackedAttributeModifier { uuid: Uuid, amount: f64, operation: u8, }
    TrackedEntityProperty { key: Text, value: f64, modifiers: List<TrackedAttributeModifier>, }
    Vec3 { x: f32, y: f32, z: f32, }
}

tables! {
    1 Advancement { value: Text, }
    2 AdvancementDisplay { title: Text, description: Text, icon: ItemStack,
        frame_type: AdvancementFrameType, show_toast: bool, hidden: bool, background_texture: Maybe<Text>,
        x_coord: f32, y_coord: f32, }
    3 AdvancementCriteria { value: Text, }
    4 AdvancementRequirements { value: List<List<Entity>>, }
    5 AdvancementCachedBytes { value: List<u8>, }
    6 AdvancementClientUpdate { new_advancements: List<Entity>, remove_advancements: List<Entity>,
        progress: List<Progress>, force_tab_update: ForceTabUpdate, reset: bool, }
    7 BossBarTitle { value: Text, }
    8 BossBarHealth { value: f32, }
    9 BossBarStyle { color: BossBarColor, division: BossBarDivision, }
    10 CommandScopes { value: Set<Text>, }
    11 Absorption { value: f32, }
    12 Food { value: i32, }
    13 Saturation { value: f32, }
    14 EntityKind { value: i32, }
    15 ActiveStatusEffects { current_effects: Map<StatusEffect, List<ActiveStatusEffect>>,
        changes: List<StatusEffectChange>, }
    16 EntityAttributeInstance { instance: AttributeInstance, }
    17 EntityAttributes { attributes: Map<EntityAttribute, AttributeInstance>,
        recently_changed: List<EntityAttribute>, }
    18 TrackedEntityAttributes { modified: Map<EntityAttribute, TrackedEntityProperty>, }
    19 HitboxShape { value: Aabb, }
    20 Hitbox { value: Aabb, }
    21 EntityLayerId { value: Entity, }
    22 OldEntityLayerId { value: Entity, }
    23 Position { value: DVec3, }
    24 OldPosition { value: DVec3, }
    25 Look { yaw: f32, pitch: f32, }
    26 OnGround { value: bool, }
    27 EntityId { value: i32, }
    28 HeadYaw { value: f32, }
    29 Velocity { value: Vec3, }
    30 EntityStatuses { value: u64, }
    31 EntityAnimations { value: u8, }
    32 ObjectData { value: i32, }
    33 TrackedData { init_data: List<u8>, init_entries: List<InitEntry>, update_data: List<u8>, }
    34 Equipment { equipment: [ItemStack; 6], changed: u8, }
    35 Inventory { title: Text, kind: InventoryKind, slots: List<ItemStack>, changed: u64, readonly: bool, }
    36 ClientInventoryState { window_id: u8, state_id: i32, slots_changed: u64,
        client_updated_cursor_item: Maybe<ItemStack>, }
    37 HeldItem { held_item_slot: u16, }
    38 CursorItem { value: ItemStack, }
    39 OpenInventory { entity: Entity, client_changed: u64, }
    40 DisplayName { value: Maybe<Text>, }
    41 Listed { value: bool, }
    42 Direction { value: DirectionValue, }
    43 GameMode { value: GameModeValue, }
    44 BossBarFlags { darken_sky: bool, dragon_bar: bool, create_fog: bool, pad: u8, }
    45 PlayerAbilitiesFlags { invulnerable: bool, flying: bool, allow_flying: bool, instant_break: bool,
        pad: u8, }
    46 ScoreboardPosition { value: ScoreboardPositionValue, }
    47 ObjectiveRenderType { value: ObjectiveRenderTypeValue, }
    48 Objective { value: Text, }
    49 ObjectiveDisplay { value: Text, }
    50 ObjectiveScores { value: Map<Text, i32>, }
    51 OldObjectiveScores { value: Map<Text, i32>, }
    52 FlyingSpeed { value: f32, }
    53 FovModifier { value: f32, }
    54 ActionSequence { value: i32, }
    55 EntityRemoveBuf { value: List<i32>, }
    56 Username { value: Text, }
    57 Properties { value: List<Property>, }
    58 Ip { value: IpAddr, }
    59 ViewDistance { value: u8, }
    60 OldViewDistance { value: u8, }
    61 VisibleChunkLayer { value: Entity, }
    62 OldVisibleChunkLayer { value: Entity, }
    63 VisibleEntityLayers { value: Set<Entity>, }
    64 OldVisibleEntityLayers { value: Set<Entity>, }
    65 ClientSettings { locale: Text, chat_mode: ChatMode, chat_colors: bool, enable_text_filtering: bool,
        allow_server_listings: bool, }
    66 Ping { value: i32, }
    67 OpLevel { value: u8, }
    68 DeathLocation { value: Maybe<Death>, }
    69 IsHardcore { value: bool, }
    70 HashedSeed { value: u64, }
    71 ReducedDebugInfo { value: bool, }
    72 HasRespawnScreen { value: bool, }
    73 IsDebug { value: bool, }
    74 IsFlat { value: bool, }
    75 PortalCooldown { value: i32, }
    76 PrevGameMode { value: Maybe<GameModeValue>, }
    77 RespawnPosition { pos: BlockPos, yaw: f32, }
    78 TeleportState { teleport_id_counter: u32, pending_teleports: u32, synced_pos: DVec3,
        synced_look: LookValue, }
    79 UniqueId { value: Uuid, }
    80 Rain { value: f32, }
    81 Thunder { value: f32, }
    82 WorldBorderCenter { x: f64, z: f64, }
    83 WorldBorderLerp { current_diameter: f64, target_diameter: f64, remaining_ticks: u64, }
    84 WorldBorderWarnTime { value: i32, }
    85 WorldBorderWarnBlocks { value: i32, }
    86 WorldBorderPortalTpBoundary { value: i32, }
}
