#include "support/failing_allocation.hpp"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>

namespace {

constexpr auto off = std::numeric_limits<std::int64_t>::max();
std::atomic<std::int64_t> next{off}; ///< allocations before the first failure; below 0, allocations fail
std::atomic<std::int64_t> fails{0};  ///< how many
std::atomic<std::int64_t> have_failed{0};
thread_local bool exempt = false;

bool fails_now() noexcept {
    if (next.load(std::memory_order_relaxed) == off || exempt) {
        return false;
    }
    auto const at = next.fetch_sub(1, std::memory_order_relaxed);
    if (at > 0 || at <= -fails.load(std::memory_order_relaxed)) {
        return false;
    }
    have_failed.fetch_add(1, std::memory_order_relaxed);
    return true;
}

void* allocate(std::size_t size) noexcept {
    return fails_now() ? nullptr : std::malloc(size == 0 ? 1 : size);
}

void* allocate(std::size_t size, std::align_val_t alignment) noexcept {
    auto const unit = static_cast<std::size_t>(alignment);
    return fails_now() ? nullptr : std::aligned_alloc(unit, (size + unit - 1) / unit * unit);
}

void* or_throw(void* memory) {
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

} // namespace

void* operator new(std::size_t size) {
    return or_throw(allocate(size));
}
void* operator new[](std::size_t size) {
    return or_throw(allocate(size));
}
void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
    return allocate(size);
}
void* operator new[](std::size_t size, std::nothrow_t const&) noexcept {
    return allocate(size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return or_throw(allocate(size, alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
    return or_throw(allocate(size, alignment));
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete[](void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::nothrow_t const&) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::nothrow_t const&) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}

namespace seedbed::test {

failing_allocations::failing_allocations(std::int64_t first, std::int64_t count) {
    exempt = true;
    have_failed.store(0);
    fails.store(count);
    next.store(first);
}

failing_allocations::~failing_allocations() {
    next.store(off);
    exempt = false;
}

std::int64_t failing_allocations::failed() const noexcept {
    return have_failed.load();
}

} // namespace seedbed::test
