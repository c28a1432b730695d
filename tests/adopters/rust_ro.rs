//! The models and events of rust-ro, a server for Ragnarok Online: names and types of fields, as facts,
//! from the MIT-licensed nmeylan/rust-ro.
//!
//! `String` is [`Text`], `Vec` is [`List`], `Option` is `Maybe`, and `usize` is `u32`. The two enums of
//! hundreds of variants, `SkillEnum` and `BonusType`, are a number, with arguments. A row of the pool
//! wraps each struct, because most of them are fields of others as well.

use super::{List, Sample, Seed, Text};
use hotpool::PoolObject;
use hotpool::object::{Maybe, Schema};

choices! {
    WeaponType { Fist, Dagger, Sword1H, Sword2H, Spear1H, Spear2H, Axe1H, Axe2H, Mace, Mace2H, Staff, Bow,
        Knuckle, Musical, Whip, Book, Katar, Revolver, Rifle, Gatling, Shotgun, Grenade, Huuma, Shuriken,
        Staff2H, MaxWeaponType, DoubleDd, DoubleSs, DoubleAa, DoubleDs, DoubleDa, DoubleSa,
        MaxWeaponTypeAll, AllWeaponType, }
    Element { Neutral, Water, Earth, Fire, Wind, Poison, Holy, Dark, Ghost, Undead, AllElement, Max,
        Weapon, Endowed, Random, Ammo, }
    Size { Small, Medium, Large, All, }
    AmmoType { None, Arrow, Dagger, Bullet, Shell, Grenade, Shuriken, Kunai, Cannonball, Throwweapon,
        MaxType, }
    ItemType { Healing, Unknown, Usable, Etc, Armor, Weapon, Card, PetEgg, PetArmor, Unknown2, Ammo,
        DelayConsume, ShadowGear, Cash, Max, }
    LookType { Job, Hair, Weapon, HeadBottom, HeadTop, HeadMid, HairColor, ClothesColor, Shield, Shoes,
        Robe, Body, }
    SkillType { Offensive, Interactive, Performance, Support, Passive, }
    StatusEffect { Poisoned, Stun, Freeze, Curse, Blind, Sleep, Silence, Chaos, Bleeding, Stone, Burning,
        Confuse, Coma, WeaponBreak, ArmorBreak, VitalStrike, StripArmor, StripShoulder, StripHelm,
        StripShield, StripShoes, StripWeapon, StripAll, AllStatusEffect, }
    JobName { Novice, Swordsman, Mage, Archer, Acolyte, Merchant, Thief, Knight, Priest, Wizard,
        Blacksmith, Hunter, Assassin, Crusader, Monk, Sage, Rogue, Alchemist, Bard, Dancer, Wedding,
        SuperNovice, Gunslinger, Ninja, Xmas, Summer, NoviceHigh, SwordsmanHigh, MageHigh, ArcherHigh,
        AcolyteHigh, MerchantHigh, ThiefHigh, LordKnight, HighPriest, HighWizard, Whitesmith, Sniper,
        AssassinCross, Paladin, Champion, Professor, Stalker, Creator, Clown, Gypsy, BabyNovice,
        BabySwordsman, BabyMage, BabyArcher, BabyAcolyte, BabyMerchant, BabyThief, BabyKnight, BabyPriest,
        BabyWizard, BabyBlacksmith, BabyHunter, BabyAssassin, BabyCrusader, BabyMonk, BabySage, BabyRogue,
        BabyAlchemist, BabyBard, BabyDancer, SuperBaby, Taekwon, StarGladiator, SoulLinker, }
    MapItemType { Character, Mob, Warp, Unknown, Npc, DroppedItem, }
    MobType { Monster, Miniboss, Mvp, }
    StatusBonusSource { Skill(u16), PassiveSkill(u16), Item(u32), }
    BonusExpiry { Never, Time(u128), Counter(u64), }
    StatusBonusState { No, Counter(u64), }
    AreaNotificationRangeType { Map, Fov(u16, u16, Maybe<u32>), }
}

parts! {
    Numbered { value: u32, }
    Bonus { number: u16, arguments: [i32; 2], }
    Position { x: u16, y: u16, dir: u16, }
    Movement { position: Position, is_diagonal: bool, move_at: u128, }
    ItemRemoval { item: InventoryItemModel, removal: CharacterRemoveItem, }
    EquippedItem { item_id: i32, location: u64, index: u32, }
    DroppedItem { map_item_id: u32, item_id: i32, location: Position, sub_location: Position,
        owner_id: Maybe<u32>, dropped_at: u128, amount: u16, is_identified: bool, }
    NormalInventoryItem { item_id: i32, amount: i16, name_english: Text, }
    WearWeapon { item_id: i32, attack: u32, level: u8, weapon_type: WeaponType, location: u64, refine: u8,
        element: Element, card0: i16, card1: i16, card2: i16, card3: i16, inventory_index: u32, range: u8, }
    WearWeaponSnapshot { item_id: i32, attack: u32, level: u8, weapon_type: WeaponType, element: Element,
        refine: u8, card0: i16, card1: i16, card2: i16, card3: i16, }
    WearGear { item_id: i32, level: u8, location: u64, refine: u8, card0: i16, def: i16,
        inventory_index: u32, }
    WearGearSnapshot { item_id: i32, level: u8, refine: u8, card0: i16, def: i16, }
    WearAmmo { item_id: i32, inventory_index: u32, ammo_type: AmmoType, element: Element, attack: u8, }
    WearAmmoSnapshot { item_id: i32, ammo_type: AmmoType, element: Element, attack: u8, }
    KnownSkill { value: Numbered, level: u8, }
    Look { hair: u16, hair_color: u32, clothes_color: u32, body: u32, weapon: u32, shield: u32,
        head_top: u32, head_middle: u32, head_bottom: u32, robe: u32, }
    StatusBonus { bonus: Bonus, }
    TemporaryStatusBonus { bonus: Bonus, flags: u64, expirency: BonusExpiry, state: StatusBonusState,
        source: Maybe<StatusBonusSource>, }
    TemporaryStatusBonuses { item0: List<TemporaryStatusBonus>, }
    CharInsertModel { account_id: i32, char_num: i16, name: Text, class: i16, zeny: i32, status_point: i16,
        str: i16, agi: i16, vit: i16, int: i16, dex: i16, luk: i16, max_hp: i32, hp: i32, max_sp: i32,
        sp: i32, hair: i16, hair_color: i32, last_map: Text, last_x: i16, last_y: i16, save_map: Text,
        save_x: i16, save_y: i16, sex: Text, inventory_slots: i32, }
    CharSelectModel { char_id: i32, account_id: i32, char_num: i16, name: Text, class: i16, zeny: i32,
        status_point: i16, skill_point: i16, str: i16, agi: i16, vit: i16, int: i16, dex: i16, luk: i16,
        max_hp: i32, hp: i32, max_sp: i32, sp: i32, hair: i16, hair_color: i16, last_map: Text,
        last_x: i16, last_y: i16, save_map: Text, save_x: i16, save_y: i16, sex: Text,
        inventory_slots: i16, clothes_color: i16, body: i16, weapon: i16, shield: i16, head_top: i16,
        head_mid: i16, head_bottom: i16, robe: i32, base_level: i32, job_level: i32, base_exp: i32,
        job_exp: i32, }
    ItemModel { id: i32, name_aegis: Text, name_english: Text, item_type: ItemType,
        weapon_type: Maybe<WeaponType>, ammo_type: Maybe<AmmoType>, price_buy: Maybe<i32>,
        price_sell: Maybe<i32>, weight: i32, attack: Maybe<i16>, defense: Maybe<i16>, range: Maybe<i16>,
        slots: Maybe<i16>, job_flags: u64, class_flags: u64, location: u64, element: Maybe<Element>,
        gender: Maybe<Text>, weapon_level: Maybe<i16>, armor_level: Maybe<i16>,
        equip_level_min: Maybe<i16>, equip_level_max: Maybe<i16>, refineable: Maybe<i16>, view: Maybe<i32>,
        alias_name: Maybe<Text>, flags: u64, delay_duration: Maybe<i32>, delay_status: Maybe<Text>,
        stack_amount: Maybe<i32>, stack_inventory: Maybe<i16>, stack_cart: Maybe<i16>,
        stack_storage: Maybe<i16>, stack_guildstorage: Maybe<i16>, nouse_override: Maybe<i32>,
        nouse_sitting: Maybe<i16>, trade_override: Maybe<i32>, trade_flags: u64, script: Maybe<Text>,
        script_compilation: Maybe<Text>, script_compilation_hash: Maybe<u128>, bonuses: List<Bonus>,
        item_bonuses_are_dynamic: bool, }
    ItemBuySellModel { id: Maybe<i32>, item_type: Text, price_buy: Maybe<i32>, price_sell: Maybe<i32>,
        stack_amount: Maybe<i16>, weight: Maybe<i32>, name_english: Maybe<Text>, }
    GetItemModel { id: i32, item_type: Text, amount: i16, weight: i32, name_english: Text,
        name_aegis: Text, }
    DBItemType { item_type: ItemType, }
    InventoryItemModel { id: i32, unique_id: i64, item_id: i32, item_type: DBItemType, amount: i16,
        refine: i16, is_identified: bool, equip: i32, is_damaged: bool, card0: i16, card1: i16, card2: i16,
        card3: i16, name_english: Text, weight: i32, }
    Drop { item_name: Text, item_id: i32, rate: u16, is_card: bool, }
    MobModel { id: i32, name: Text, name_english: Text, level: i32, hp: i32, sp: i32, atk1: i32, atk2: i32,
        def: i32, mdef: i32, str: i32, agi: i32, vit: i32, int: i32, dex: i32, luk: i32, range1: i16,
        range2: i16, range3: i16, scale: i16, race: Text, element: Text, element_level: i8, mode: i16,
        speed: i32, atk_delay: i32, atk_motion: i32, damage_motion: i32, exp: i32, job_exp: i32,
        drops: List<Drop>, mvp_drops: List<Drop>, size: Text, }
    CharRegStr { char_id: i32, key: Text, index: i32, value: Text, }
    CharRegNum { char_id: i32, key: Text, index: i32, value: i32, }
    AccountRegStr { account_id: i32, key: Text, index: i32, value: Text, }
    AccountRegNum { account_id: i32, key: Text, index: i32, value: i32, }
    ServerRegStr { varname: Text, index: i32, value: Text, }
    Attack { target: u32, repeat: bool, last_attack_tick: u128, last_attack_motion: u32, }
    PendingSkill { target_id: u32, skill_id: u32, skill_level: u8, }
    Damage { target_id: u32, attacker_id: u32, damage: u32, attacked_at: u128, damage_motion: u32, }
    AddBonuses { target_id: u32, effects: List<StatusEffect>, bonuses: TemporaryStatusBonuses, }
    SkillCasted { requirements_valid: bool, no_delay: bool, }
    SkillUsed { skill_type: SkillType, source_id: u32, target_id: u32, damage_to_target: i32,
        damage_to_self: i32, effects: List<StatusEffect>, bonuses: TemporaryStatusBonuses,
        attacked_at: u128, damage_motion: u32, }
    CharNotification { char_id: u32, packet: List<u8>, }
    AreaNotification { map_name: Text, map_instance_id: u8, range_type: AreaNotificationRangeType,
        packet: List<u8>, }
    CharacterChangeMap { char_id: u32, new_map_name: Text, new_instance_id: u8,
        new_position: Maybe<Position>, }
    CharacterRemoveFromMap { char_id: u32, map_name: Text, instance_id: u8, }
    CharacterMovement { char_id: u32, start_at: u128, destination: Position, current_position: Position,
        path: List<Movement>, cancel_attack: bool, }
    CharacterLook { char_id: u32, look_type: LookType, look_value: u16, }
    CharacterZeny { char_id: u32, zeny: Maybe<u32>, }
    CharacterAddItems { char_id: u32, should_perform_check: bool, buy: bool,
        items: List<InventoryItemModel>, }
    CharacterUseItem { char_id: u32, target_char_id: u32, index: u32, }
    CharacterEquipItem { char_id: u32, index: u32, }
    CharacterTakeoffEquipItem { char_id: u32, index: u32, }
    CharacterRemoveItem { char_id: u32, index: u32, amount: i16, price: i32, }
    CharacterAttack { char_id: u32, target_id: u32, repeat: bool, }
    CharacterUseSkill { char_id: u32, target_id: u32, skill_id: u32, skill_level: u8, }
    CharacterChangeLevel { char_id: u32, set_level: Maybe<u32>, add_level: Maybe<i32>, }
    CharacterChangeJobLevel { char_id: u32, set_level: Maybe<u32>, add_level: Maybe<i32>, }
    CharacterChangeJob { char_id: u32, job: JobName, should_reset_skills: bool, }
    CharacterPickUpItem { char_id: u32, map_item_id: u32, }
    CharacterUpdateStat { char_id: u32, stat_id: u16, change_amount: u16, }
    CharacterSkillUpgrade { char_id: u32, skill_id: u16, }
    CharacterRequestCardCompositionList { char_id: u32, card_index: u32, }
    CharacterSlotCard { char_id: u32, card_index: u32, equip_index: u32, }
    MobLocation { mob_id: u32, x: u16, y: u16, }
    MobDropItems { owner_id: u32, mob_id: i16, mob_x: u16, mob_y: u16, }
    MobAttackCharacter { mob_id: u32, target_char_id: u32, damage: u32, attack_motion: u32, mob_x: u16,
        mob_y: u16, }
    SavePositionUpdate { char_id: u32, account_id: u32, map_name: Text, x: u16, y: u16, }
    StatusUpdate { char_id: u32, db_column: Text, value: u32, }
    InventoryItemUpdate { item_id: i32, char_id: i32, unique_id: i64, amount: i16, identified: bool,
        stackable: bool, }
    DeleteItems { char_id: i32, item_inventory_id: i32, unique_id: i64, amount: i16, }
    ResetSkills { char_id: i32, skills: List<i32>, }
    IncreaseSkillLevel { char_id: i32, skill: Numbered, increment: u8, }
    Hotkey { index: i16, is_skill: i16, itemskill_id: i32, skill_lvl: i16, }
    MapInstanceKey { instance_id: u8, map_name: [char; 16], map_name_string: Text, }
    MapItem { id: u32, client_item_class: i16, object_type: MapItemType, }
    MapItemSnapshot { map_item: MapItem, position: Position, }
    MobSpawn { map_name: Text, name: Text, mob_id: i16, to_spawn_amount: i16, id: u32, x: u16, y: u16,
        x_size: u16, y_size: u16, mob_type: MobType, fixed_delay_in_ms: u32,
        random_variance_delay_in_ms: u32, level: u16, info: MobModel, }
    Warp { map_name: Text, name: Text, id: u32, x: u16, y: u16, x_size: u16, y_size: u16,
        dest_map_name: Text, to_x: u16, to_y: u16, }
    StatusBonuses { item0: List<StatusBonus>, }
    ItemModels { items: List<ItemModel>, }
    MobModels { mobs: List<MobModel>, }
    CharacterRemoveItems { char_id: u32, sell: bool, items: List<CharacterRemoveItem>, notify_client: bool, }
    CharacterKillMonster { char_id: u32, mob_id: i16, mob_x: u16, mob_y: u16,
        map_instance_key: MapInstanceKey, mob_base_exp: u32, mob_job_exp: u32, }
    CharacterDropItems { owner_id: u32, char_x: u16, char_y: u16, item_removal_info: List<ItemRemoval>, }
    Status { job: u32, hp: u32, sp: u32, max_hp: u32, max_sp: u32, str: u16, agi: u16, vit: u16, int: u16,
        dex: u16, luk: u16, speed: u16, look: Maybe<Look>, zeny: u32, base_level: u32, job_level: u32,
        status_point: u32, skill_point: u32, base_exp: u32, job_exp: u32, state: u64, size: Size,
        is_male: bool, weapons: List<WearWeapon>, equipments: List<WearGear>, ammo: Maybe<WearAmmo>,
        known_skills: List<KnownSkill>, effects: List<StatusEffect>, equipment_bonuses: StatusBonuses,
        temporary_bonuses: TemporaryStatusBonuses, }
}

tables! {
    1 EquippedItemRow { row: EquippedItem, }
    2 DroppedItemRow { row: DroppedItem, }
    3 NormalInventoryItemRow { row: NormalInventoryItem, }
    4 WearWeaponRow { row: WearWeapon, }
    5 WearWeaponSnapshotRow { row: WearWeaponSnapshot, }
    6 WearGearRow { row: WearGear, }
    7 WearGearSnapshotRow { row: WearGearSnapshot, }
    8 WearAmmoRow { row: WearAmmo, }
    9 WearAmmoSnapshotRow { row: WearAmmoSnapshot, }
    10 KnownSkillRow { row: KnownSkill, }
    11 LookRow { row: Look, }
    12 StatusBonusRow { row: StatusBonus, }
    13 TemporaryStatusBonusRow { row: TemporaryStatusBonus, }
    14 TemporaryStatusBonusesRow { row: TemporaryStatusBonuses, }
    15 CharInsertModelRow { row: CharInsertModel, }
    16 CharSelectModelRow { row: CharSelectModel, }
    17 ItemModelRow { row: ItemModel, }
    18 ItemBuySellModelRow { row: ItemBuySellModel, }
    19 GetItemModelRow { row: GetItemModel, }
    20 DBItemTypeRow { row: DBItemType, }
    21 InventoryItemModelRow { row: InventoryItemModel, }
    22 DropRow { row: Drop, }
    23 MobModelRow { row: MobModel, }
    24 CharRegStrRow { row: CharRegStr, }
    25 CharRegNumRow { row: CharRegNum, }
    26 AccountRegStrRow { row: AccountRegStr, }
    27 AccountRegNumRow { row: AccountRegNum, }
    28 ServerRegStrRow { row: ServerRegStr, }
    29 AttackRow { row: Attack, }
    30 PendingSkillRow { row: PendingSkill, }
    31 DamageRow { row: Damage, }
    32 AddBonusesRow { row: AddBonuses, }
    33 SkillCastedRow { row: SkillCasted, }
    34 SkillUsedRow { row: SkillUsed, }
    35 CharNotificationRow { row: CharNotification, }
    36 AreaNotificationRow { row: AreaNotification, }
    37 CharacterChangeMapRow { row: CharacterChangeMap, }
    38 CharacterRemoveFromMapRow { row: CharacterRemoveFromMap, }
    39 CharacterMovementRow { row: CharacterMovement, }
    40 CharacterLookRow { row: CharacterLook, }
    41 CharacterZenyRow { row: CharacterZeny, }
    42 CharacterAddItemsRow { row: CharacterAddItems, }
    43 CharacterUseItemRow { row: CharacterUseItem, }
    44 CharacterEquipItemRow { row: CharacterEquipItem, }
    45 CharacterTakeoffEquipItemRow { row: CharacterTakeoffEquipItem, }
    46 CharacterRemoveItemRow { row: CharacterRemoveItem, }
    47 CharacterAttackRow { row: CharacterAttack, }
    48 CharacterUseSkillRow { row: CharacterUseSkill, }
    49 CharacterChangeLevelRow { row: CharacterChangeLevel, }
    50 CharacterChangeJobLevelRow { row: CharacterChangeJobLevel, }
    51 CharacterChangeJobRow { row: CharacterChangeJob, }
    52 CharacterPickUpItemRow { row: CharacterPickUpItem, }
    53 CharacterUpdateStatRow { row: CharacterUpdateStat, }
    54 CharacterSkillUpgradeRow { row: CharacterSkillUpgrade, }
    55 CharacterRequestCardCompositionListRow { row: CharacterRequestCardCompositionList, }
    56 CharacterSlotCardRow { row: CharacterSlotCard, }
    57 MobLocationRow { row: MobLocation, }
    58 MobDropItemsRow { row: MobDropItems, }
    59 MobAttackCharacterRow { row: MobAttackCharacter, }
    60 SavePositionUpdateRow { row: SavePositionUpdate, }
    61 StatusUpdateRow { row: StatusUpdate, }
    62 InventoryItemUpdateRow { row: InventoryItemUpdate, }
    63 DeleteItemsRow { row: DeleteItems, }
    64 ResetSkillsRow { row: ResetSkills, }
    65 IncreaseSkillLevelRow { row: IncreaseSkillLevel, }
    66 HotkeyRow { row: Hotkey, }
    67 MapInstanceKeyRow { row: MapInstanceKey, }
    68 MapItemRow { row: MapItem, }
    69 MapItemSnapshotRow { row: MapItemSnapshot, }
    70 MobSpawnRow { row: MobSpawn, }
    71 WarpRow { row: Warp, }
    73 StatusBonusesRow { row: StatusBonuses, }
    74 ItemModelsRow { row: ItemModels, }
    75 MobModelsRow { row: MobModels, }
    76 CharacterRemoveItemsRow { row: CharacterRemoveItems, }
    77 CharacterKillMonsterRow { row: CharacterKillMonster, }
    78 CharacterDropItemsRow { row: CharacterDropItems, }
    79 StatusRow { row: Status, }
}
