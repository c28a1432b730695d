//! Types of other crates as fields of objects: those of glam and uuid, each behind a feature.
//!
//! # What the unsafe code here relies on
//!
//! It implements [`Stored`] for types that their crates declare to be `bytemuck::Pod`, which the
//! compiler checks here: any bytes are a value, and there is no padding.
#![allow(unsafe_code)]

use crate::object::{Field, Rule, Schema, Stored};

const fn is_stored_as<F: bytemuck::Pod, A: Schema>() {
    assert!(size_of::<F>() == size_of::<A>());
}

macro_rules! foreign {
    ($($foreign:ty as $stored:ty;)*) => {$(
        const _: () = is_stored_as::<$foreign, $stored>();

        // SAFETY: it is `Pod`.
        unsafe impl Stored for $foreign {
            const RULE: &'static Rule = &Rule::plain(size_of::<Self>());
        }

        /// It is stored as numbers, so a field may change between the two types.
        impl Schema for $foreign {
            const FINGERPRINT: u64 = <$stored>::FINGERPRINT;
            const FIELDS: &'static [Field] = &[];
            const RANK: usize = <$stored>::RANK;
        }
    )*};
}

#[cfg(feature = "glam")]
foreign! {
    glam::Vec2 as [f32; 2];
    glam::Vec3 as [f32; 3];
    glam::Vec4 as [f32; 4];
    glam::Quat as [f32; 4];
    glam::Mat3 as [[f32; 3]; 3];
    glam::Mat4 as [[f32; 4]; 4];
    glam::DVec2 as [f64; 2];
    glam::DVec3 as [f64; 3];
    glam::DVec4 as [f64; 4];
    glam::DQuat as [f64; 4];
    glam::IVec2 as [i32; 2];
    glam::IVec3 as [i32; 3];
    glam::IVec4 as [i32; 4];
    glam::UVec2 as [u32; 2];
    glam::UVec3 as [u32; 3];
    glam::UVec4 as [u32; 4];
}

#[cfg(feature = "uuid")]
foreign! {
    uuid::Uuid as [u8; 16];
}
