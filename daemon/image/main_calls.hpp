#pragma once

#include <memory>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace seedbed {

/// Passes completions to the main thread, and drops those that arrive after its destruction: an object that owns one
/// may capture `this` in them.
///
/// Threads: confined to the main thread; the returned functions may be called from any thread.
class main_calls {
public:
    explicit main_calls(boost::asio::io_context& main)
        : m_main(main) {}
    main_calls(main_calls const&) = delete;
    main_calls& operator=(main_calls const&) = delete;
    ~main_calls() = default;

    /// A function that posts \p call, with copies of its arguments, to the main thread.
    template <class Call>
    [[nodiscard]] auto posted(Call call) const {
        return [alive = std::weak_ptr(m_alive), &main = m_main, call = std::move(call)](auto... arguments) {
            boost::asio::post(main, [alive, call, ... arguments = std::move(arguments)] {
                if (!alive.expired()) {
                    call(arguments...);
                }
            });
        };
    }

    /// A function for the main thread, which runs \p call immediately.
    template <class Call>
    [[nodiscard]] auto guarded(Call call) const {
        return [alive = std::weak_ptr(m_alive), call = std::move(call)](auto const&... arguments) {
            if (!alive.expired()) {
                call(arguments...);
            }
        };
    }

private:
    boost::asio::io_context& m_main;
    std::shared_ptr<char> m_alive = std::make_shared<char>();
};

} // namespace seedbed
