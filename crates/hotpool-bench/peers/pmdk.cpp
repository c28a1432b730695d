// PMDK's libpmemobj on tmpfs: atomic allocation and free. The bench turns its flushes off.
#include "peer.hpp"
#include <cstdio>
#include <cstdlib>
#include <libpmemobj.h>
#include <unistd.h>

template <size_t SIZE> struct ByHandle {
    using Handle = PMEMoid;
    static constexpr bool keyed = false;
    PMEMobjpool* pool;
    static int make(PMEMobjpool*, void* at, void* seed) {
        new (at) Object<SIZE>(*static_cast<uint64_t*>(seed));
        return 0;
    }
    Handle alloc(uint64_t, uint64_t seed) {
        PMEMoid oid;
        if (pmemobj_alloc(pool, &oid, SIZE, 1, make, &seed) != 0) {
            std::cerr << pmemobj_errormsg() << std::endl;
            exit(1);
        }
        return oid;
    }
    void free(Handle handle, uint64_t) { pmemobj_free(&handle); }
    uint64_t value(Handle handle) { return static_cast<Object<SIZE>*>(pmemobj_direct(handle))->words[0]; }
    uint64_t find(uint64_t) { return 0; }
};

template <size_t SIZE> int run(size_t population) {
    std::string file = "/dev/shm/hotpool-bench-pmdk-" + std::to_string(getpid());
    PMEMobjpool* pool = pmemobj_create(file.c_str(), "bench", population * (SIZE + 128) * 2 + (64 << 20), 0600);
    // The mapping ends with the process, whatever happens.
    unlink(file.c_str());
    if (!pool) {
        std::cerr << pmemobj_errormsg() << std::endl;
        return 1;
    }
    ByHandle<SIZE> store{pool};
    return serve(store, population);
}

int main(int argc, char** argv) {
    // The bench checks whether the program can run at all.
    if (argc == 1) return 0;
    size_t size = strtoull(argv[1], nullptr, 10), population = strtoull(argv[2], nullptr, 10);
    switch (size) {
        case 64: return run<64>(population);
        case 256: return run<256>(population);
        case 1024: return run<1024>(population);
        case 4096: return run<4096>(population);
    }
    return 1;
}
