#pragma once

#include <cstddef>
#include <new>
#include <type_traits>

#include <sys/mman.h>

namespace seedbed {

/// An array of fixed size whose elements start as zero bytes and take up memory only once touched: for tables that are
/// allocated at their maximum size.
///
/// T must be valid with all bytes zero and need no destructor. Threads: as a plain array.
template <class T>
class lazy_array {
    static_assert(std::is_trivially_destructible_v<T>);

public:
    /// Throws std::bad_alloc if the address space cannot be reserved.
    explicit lazy_array(std::size_t size)
        : m_size(size) {
        void* const memory =
            ::mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) {
            throw std::bad_alloc();
        }
        m_data = static_cast<T*>(memory);
    }
    lazy_array(lazy_array const&) = delete;
    lazy_array& operator=(lazy_array const&) = delete;
    ~lazy_array() { static_cast<void>(::munmap(m_data, bytes())); }

    [[nodiscard]] T& operator[](std::size_t index) const noexcept { return m_data[index]; }
    [[nodiscard]] std::size_t size() const noexcept { return m_size; }

private:
    [[nodiscard]] std::size_t bytes() const noexcept { return m_size * sizeof(T); }

    std::size_t m_size;
    T* m_data = nullptr;
};

} // namespace seedbed
