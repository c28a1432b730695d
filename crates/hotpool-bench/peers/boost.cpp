// Boost.Interprocess: objects from a cached_node_allocator by raw pointer, and an unordered_map in
// the segment for keys.
#include "peer.hpp"
#include <boost/functional/hash.hpp>
#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/allocators/cached_node_allocator.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/unordered_map.hpp>
#include <cstdlib>
#include <unistd.h>

namespace ipc = boost::interprocess;
using Segment = ipc::managed_shared_memory;

template <size_t SIZE> struct ByHandle {
    using Node = ipc::cached_node_allocator<Object<SIZE>, Segment::segment_manager>;
    using Handle = Object<SIZE>*;
    static constexpr bool keyed = false;
    Node nodes;
    explicit ByHandle(Segment& segment) : nodes(segment.get_segment_manager()) {}
    Handle alloc(uint64_t, uint64_t seed) { return new (&*nodes.allocate_one()) Object<SIZE>(seed); }
    void free(Handle handle, uint64_t) { nodes.deallocate_one(handle); }
    uint64_t value(Handle handle) { return handle->words[0]; }
    uint64_t find(uint64_t) { return 0; }
};

template <size_t SIZE> struct ByKey {
    using Pair = std::pair<const uint64_t, Object<SIZE>>;
    using Allocator = ipc::allocator<Pair, Segment::segment_manager>;
    using Map = boost::unordered_map<uint64_t, Object<SIZE>, boost::hash<uint64_t>, std::equal_to<uint64_t>, Allocator>;
    using Handle = uint64_t;
    static constexpr bool keyed = true;
    Map* map;
    explicit ByKey(Segment& segment)
        : map(segment.construct<Map>("map")(16, boost::hash<uint64_t>(), std::equal_to<uint64_t>(),
                                           Allocator(segment.get_segment_manager()))) {}
    Handle alloc(uint64_t key, uint64_t seed) {
        map->emplace(key, Object<SIZE>(seed));
        return key;
    }
    void free(Handle, uint64_t key) { map->erase(key); }
    uint64_t value(Handle key) { return find(key); }
    uint64_t find(uint64_t key) {
        auto found = map->find(key);
        return found == map->end() ? 0 : found->second.words[0];
    }
};

template <size_t SIZE> int run(size_t population, bool by_key) {
    std::string name = "hotpool-bench-boost-" + std::to_string(getpid());
    Segment segment(ipc::create_only, name.c_str(), population * (SIZE + 128) * 2 + (64 << 20));
    // The mapping ends with the process, whatever happens.
    ipc::shared_memory_object::remove(name.c_str());
    if (by_key) {
        ByKey<SIZE> store(segment);
        return serve(store, population);
    }
    ByHandle<SIZE> store(segment);
    return serve(store, population);
}

int main(int argc, char** argv) {
    // The bench checks whether the program can run at all.
    if (argc == 1) return 0;
    size_t size = strtoull(argv[1], nullptr, 10), population = strtoull(argv[2], nullptr, 10);
    bool by_key = std::string(argv[3]) == "keyed";
    switch (size) {
        case 64: return run<64>(population, by_key);
        case 256: return run<256>(population, by_key);
        case 1024: return run<1024>(population, by_key);
        case 4096: return run<4096>(population, by_key);
    }
    return 1;
}
