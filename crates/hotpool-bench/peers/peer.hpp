// The shared part of the programs of other languages: the random numbers and the protocol with the
// bench.
//
// A program is launched with the bytes of an object and a population. It fills the population and
// answers `OP COUNT` with `DONE NANOSECONDS`, or with `none` for an operation it does not support.
#pragma once
#include <chrono>
#include <cstdint>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

// The same numbers as src/rng.rs.
inline uint64_t mix(uint64_t number) {
    uint64_t z = number * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

struct Rng {
    uint64_t state;
    uint64_t next() { return mix(++state); }
    size_t below(size_t limit) { return size_t((unsigned __int128)next() * limit >> 64); }
    template <class T> void shuffle(std::vector<T>& items) {
        for (size_t last = items.size() - 1; last > 0; last--) std::swap(items[last], items[below(last + 1)]);
    }
};

// An object of SIZE bytes. Every word is written when it is created.
template <size_t SIZE> struct Object {
    uint64_t words[SIZE / 8];
    explicit Object(uint64_t seed) {
        for (auto& word : words) word = seed;
    }
};

// Keeps the compiler from eliminating what a value depends on.
template <class T> inline void consume(const T& value) { asm volatile("" : : "r,m"(value) : "memory"); }

struct Lap {
    size_t count;
    std::chrono::nanoseconds time;
};

template <class F> Lap timed(size_t count, F f) {
    auto start = std::chrono::steady_clock::now();
    f();
    return {count, std::chrono::steady_clock::now() - start};
}

// Loops over a STORE with `alloc(key, seed)`, `free(handle, key)`, `value(handle)`, `find(key)`.
template <class STORE> class Loops {
    using Handle = typename STORE::Handle;
    struct Held {
        uint64_t key;
        Handle handle;
    };
    STORE& store;
    std::vector<Held> held;
    uint64_t next_key = 0;
    size_t at = 0;
    Rng rng{1};
    Lap filled;

    Held& step() {
        if (at >= held.size()) at = 0;
        return held[at++];
    }
    Held make() {
        uint64_t key = mix(next_key++);
        return {key, store.alloc(key, next_key)};
    }

public:
    Loops(STORE& store, size_t population) : store(store) {
        held.reserve(population);
        filled = timed(population, [&] {
            while (held.size() < population) held.push_back(make());
        });
        rng.shuffle(held);
    }

    bool run(const std::string& op, size_t count, Lap& lap) {
        if (op == "fill") lap = filled;
        else if (op == "get_rand") lap = timed(count, [&] {
            uint64_t sum = 0;
            for (size_t n = 0; n < count; n++) sum += store.value(step().handle);
            consume(sum);
        });
        else if (op == "pair_hot") lap = timed(count, [&] {
            for (size_t n = 0; n < count; n++) {
                Held one = make();
                consume(one.handle);
                store.free(one.handle, one.key);
            }
        });
        else if (op == "churn_rand") lap = timed(count, [&] {
            for (size_t n = 0; n < count; n++) {
                Held& one = step();
                store.free(one.handle, one.key);
                one = make();
            }
        });
        else if (op == "batch") {
            lap = {0, std::chrono::nanoseconds(0)};
            for (size_t half = held.size() / 2; lap.count < count && half; lap.count += half) {
                lap.time += timed(half, [&] {
                    for (size_t n = 0; n < half; n++) store.free(held[n].handle, held[n].key);
                    for (size_t n = 0; n < half; n++) held[n] = make();
                }).time;
                rng.shuffle(held);
            }
        } else if (op == "get_key" && STORE::keyed) lap = timed(count, [&] {
            uint64_t sum = 0;
            for (size_t n = 0; n < count; n++) sum += store.find(step().key);
            consume(sum);
        });
        else return false;
        return true;
    }
};

template <class STORE> int serve(STORE& store, size_t population) {
    Loops<STORE> loops(store, population);
    std::cout << "ready" << std::endl;
    std::string op;
    for (size_t count; std::cin >> op >> count;) {
        Lap lap{};
        if (loops.run(op, count, lap)) std::cout << lap.count << ' ' << lap.time.count() << std::endl;
        else std::cout << "none" << std::endl;
    }
    return 0;
}
